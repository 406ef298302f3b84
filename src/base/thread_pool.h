#pragma once

#include <cstdint>
#include <memory>

#include "base/function_ref.h"

namespace tenon {

// A fixed set of worker threads that spin briefly, then sleep on a futex; the calling thread works
// too. One call runs at a time; a nested call runs serially on the caller.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return threads_; }

  // Calls work(0) ... work(size() - 1), each once, on as many threads as are free, and waits. Two
  // of the calls may run one after the other on one thread, so they must not wait for each other.
  // An exception of any call is rethrown on the caller once all have ended.
  void run(FunctionRef<void(int thread)> work);

  // Splits [0, count) into contiguous ranges of at least `grain` and calls work(begin, end).
  void parallel_for(int64_t count, int64_t grain,
                    FunctionRef<void(int64_t begin, int64_t end)> work);

 private:
  struct State;
  int threads_;
  std::unique_ptr<State> state_;
};

// The pool of the process: as many threads as the process may use cores, or TENON_THREADS. Made at
// first use; never oversubscribed.
ThreadPool& process_thread_pool();

}  // namespace tenon
