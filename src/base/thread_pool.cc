#include "base/thread_pool.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"

namespace tenon {
namespace {

thread_local bool t_inside_pool = false;

void futex_wait(std::atomic<uint32_t>& word, uint32_t expected) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, expected, nullptr,
          nullptr, 0);
}

void futex_wake_all(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr,
          nullptr, 0);
}

inline void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");  // some 10 ns; `yield` does nothing on cores without hardware threads
#endif
}

int usable_threads() {
  if (const char* text = std::getenv("TENON_THREADS")) {
    int wanted = std::atoi(text);
    if (wanted > 0) return std::min(wanted, 1024);
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

// A call hands out size() tickets; whoever is running takes the next one, the caller too. So a
// worker that the system has not scheduled holds nobody up: the caller does its share. That matters
// whenever more is running than there are cores.
struct ThreadPool::State {
  // A worker spins this often before it sleeps: about 50 us, longer than the gap between two steps
  // of a decode, so a running model never pays a wake-up.
  static constexpr int kSpins = 20000;

  std::atomic<uint32_t> generation{0};
  std::atomic<int> sleepers{0};
  std::atomic<int> next_ticket{INT_MAX / 2};
  std::atomic<int> finished{0};
  std::atomic<bool> stop{false};
  std::atomic<const FunctionRef<void(int)>*> work{nullptr};
  int tickets = 0;
  std::mutex caller;
  std::mutex failure_mutex;
  std::exception_ptr failure;
  std::vector<std::thread> workers;

  // Takes tickets until none is left. A worker that comes late finds none, or helps with the next
  // call: `work` is stored before the tickets are, and read after one is taken.
  void take_tickets() {
    while (true) {
      int ticket = next_ticket.fetch_add(1, std::memory_order_acq_rel);
      if (ticket >= tickets) return;
      t_inside_pool = true;
      try {
        (*work.load(std::memory_order_acquire))(ticket);
      } catch (...) {
        std::lock_guard lock(failure_mutex);
        if (!failure) failure = std::current_exception();
      }
      t_inside_pool = false;
      finished.fetch_add(1, std::memory_order_acq_rel);
    }
  }

  void worker_loop() {
    uint32_t seen = 0;
    while (true) {
      int spins = 0;
      while (generation.load(std::memory_order_acquire) == seen) {
        if (++spins < kSpins) {
          pause_briefly();
          continue;
        }
        sleepers.fetch_add(1);
        if (generation.load() == seen) futex_wait(generation, seen);
        sleepers.fetch_sub(1);
      }
      seen = generation.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_acquire)) return;
      take_tickets();
    }
  }

  void stop_workers() {
    stop.store(true);
    start_generation();
    for (auto& worker : workers) worker.join();
  }

  void start_generation() {
    generation.fetch_add(1);
    if (sleepers.load() > 0) futex_wake_all(generation);
  }
};

ThreadPool::ThreadPool(int threads)
    : threads_(std::max(1, threads)), state_(std::make_unique<State>()) {
  state_->tickets = threads_;
  try {
    state_->workers.reserve(static_cast<size_t>(threads_));
    for (int i = 1; i < threads_; ++i) {
      state_->workers.emplace_back([this] { state_->worker_loop(); });
    }
  } catch (const std::system_error& error) {
    state_->stop_workers();
    throw Error(ErrorCode::OutOfMemory, std::string("cannot start a thread: ") + error.what())
        .got(std::to_string(threads_) + " threads")
        .fix("raise the limit of processes (ulimit -u), or set TENON_THREADS");
  } catch (...) {
    state_->stop_workers();  // a thread that nobody joins would end the process
    throw;
  }
}

ThreadPool::~ThreadPool() {
  state_->stop_workers();
}

void ThreadPool::run(FunctionRef<void(int)> work) {
  if (t_inside_pool || threads_ == 1) {
    for (int i = 0; i < threads_; ++i) work(i);
    return;
  }
  std::lock_guard lock(state_->caller);
  state_->failure = nullptr;
  state_->finished.store(0, std::memory_order_relaxed);
  state_->work.store(&work, std::memory_order_release);
  state_->next_ticket.store(0, std::memory_order_release);
  state_->start_generation();
  state_->take_tickets();
  for (int spins = 0; state_->finished.load(std::memory_order_acquire) != threads_; ++spins) {
    if (spins < State::kSpins) {
      pause_briefly();
    } else {
      std::this_thread::yield();
    }
  }
  if (state_->failure) std::rethrow_exception(state_->failure);
}

void ThreadPool::parallel_for(int64_t count, int64_t grain,
                              FunctionRef<void(int64_t, int64_t)> work) {
  if (count <= 0) return;
  int64_t parts =
      std::min<int64_t>(threads_, std::max<int64_t>(1, count / std::max<int64_t>(1, grain)));
  if (parts == 1 || t_inside_pool) {
    work(0, count);
    return;
  }
  run([&](int thread) {
    if (thread >= parts) return;
    int64_t begin = count * thread / parts, end = count * (thread + 1) / parts;
    if (begin < end) work(begin, end);
  });
}

ThreadPool& process_thread_pool() {
  static ThreadPool pool(usable_threads());
  return pool;
}

}  // namespace tenon
