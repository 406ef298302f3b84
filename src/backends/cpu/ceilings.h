#pragma once

#include <cstddef>

// What the machine can do at this moment, on all threads of the process's pool.
namespace tenon::cpu {

double fma_flops_per_second();  // f32 multiply-add, widest vectors of this CPU
// The fastest of AMX, vdpbf16ps and f32; 0 where this CPU has neither of the first two.
double bf16_flops_per_second();
double int8_operations_per_second();  // of AMX, vpdpbusd, smmla or sdot, the fastest it has; or 0

// A way to read memory: streams of a thread, and whether they are fetched ahead by instructions.
struct ReadPattern {
  int streams;
  bool fetch;
};
// Reading, as the best of many short passes in several patterns: which is fastest is up to the CPU,
// and what others on the machine do only makes a pass slower. Goes once over the memory; with
// `turn` 0, 1, ... each piece is read in another pattern.
constexpr int kReadTurns = 5;
constexpr size_t kCeilingMemory = size_t{640} << 20;  // more than caches seen so far (480 MiB)
double best_read_rate(const std::byte* memory, size_t bytes, int turn);

// Wall time; with one thread its CPU time instead, which other load on the machine disturbs less.
double seconds_now();

}  // namespace tenon::cpu
