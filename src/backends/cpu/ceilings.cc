#include "backends/cpu/ceilings.h"

#include <time.h>

#include <algorithm>

#include "backends/cpu/ceiling_loops.h"
#include "base/thread_pool.h"

namespace tenon::cpu {
namespace {

volatile float g_sink;

constexpr ReadPattern kPatterns[kReadTurns] = {
    {1, true}, {4, true}, {1, false}, {4, false}, {2, true}};

double read_rate(const std::byte* memory, size_t bytes, const ReadPattern& pattern) {
  ThreadPool& pool = process_thread_pool();
  size_t share = bytes / pool.size();
  double begin = seconds_now();
  pool.run([&](int thread) {
    g_sink = static_cast<float>(read_all(memory + thread * share, share, pattern));
  });
  return static_cast<double>(share) * pool.size() / (seconds_now() - begin);
}

double rate_of(const RateLoop& loop) {
  if (!loop.run) return 0;
  ThreadPool& pool = process_thread_pool();
  double begin = seconds_now();
  pool.run([&](int) { g_sink = loop.run(); });
  return loop.operations * pool.size() / (seconds_now() - begin);
}

}  // namespace

double seconds_now() {
  timespec now;
  clock_gettime(process_thread_pool().size() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC,
                &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double fma_flops_per_second() {
  return rate_of(fma_loop());
}

double bf16_flops_per_second() {
  double rate = rate_of(bf16_loop());
  // Intel's cores start one vdpbf16ps a cycle, but two multiply-adds: as many products.
  return rate > 0 ? std::max(rate, fma_flops_per_second()) : 0;
}

double int8_operations_per_second() {
  return rate_of(int8_loop());
}

double best_read_rate(const std::byte* memory, size_t bytes, int turn) {
  constexpr size_t kPiece = size_t{32} << 20;
  double best = 0;
  for (size_t at = 0, index = turn; at + kPiece <= bytes; at += kPiece, ++index)
    best = std::max(best, read_rate(memory + at, kPiece, kPatterns[index % kReadTurns]));
  return best;
}

}  // namespace tenon::cpu
