#pragma once

#include <algorithm>

#include "base/thread_pool.h"

namespace tenon::cpu {

// Splits [0, count) over the process's threads in contiguous ranges of at least `grain` and calls
// work(thread, begin, end); on the caller alone where there is one range.
template <class Work>
void for_ranges(int64_t count, int64_t grain, Work work) {
  ThreadPool& pool = process_thread_pool();
  int64_t parts = std::min<int64_t>(pool.size(), count / std::max<int64_t>(1, grain));
  if (parts <= 1) {
    if (count > 0) work(0, int64_t{0}, count);
    return;
  }
  pool.run([&](int thread) {
    if (thread >= parts) return;
    int64_t begin = count * thread / parts, end = count * (thread + 1) / parts;
    if (begin < end) work(thread, begin, end);
  });
}

}  // namespace tenon::cpu
