#include "cli/interruption.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "cli/console.h"

namespace tenon::cli {
namespace {

std::atomic<int> requested_signal{0};
enum class Work { None, Running, Stopped };
std::atomic<Work> stoppable_work{Work::None};
std::mutex path_mutex;
std::string path_being_written;  // guarded by path_mutex

Error interruption_error(int signal) {
  if (signal == SIGINT) return Error(ErrorCode::Interrupted, "interrupted");
  return Error(ErrorCode::Terminated, "terminated");
}

void remove_temporaries() {
  std::lock_guard lock(path_mutex);
  if (path_being_written.empty()) return;
  // The names that AtomicFile gives.
  std::filesystem::path target(path_being_written);
  std::string prefix = target.filename().string() + ".tenon-tmp-" + std::to_string(getpid()) + "-";
  std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : ".";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.path().filename().string().starts_with(prefix)) {
      std::filesystem::remove(entry.path(), ignored);
    }
  }
}

void wait_for_signals(sigset_t signals, bool json) {
  int signal = 0;
  Work running;
  do {
    while (sigwait(&signals, &signal) != 0) {
    }
    running = Work::Running;
  } while (signal == SIGINT && stoppable_work.compare_exchange_strong(running, Work::Stopped));
  requested_signal = signal;
  uint64_t one = 1;
  // Whoever polls looks at requested_signal: a failed write only costs the grace below.
  [[maybe_unused]] ssize_t written = write(interruption_fd(), &one, sizeof one);
  timespec grace = {.tv_sec = 2, .tv_nsec = 0};
  sigtimedwait(&signals, nullptr, &grace);
  remove_temporaries();
  Error error = interruption_error(signal);
  print_error(error, json);
  _exit(static_cast<int>(error.code()));
}

}  // namespace

void watch_for_interruption(bool json) {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction current;
    if (sigaction(signal, nullptr, &current) == 0 && current.sa_handler == SIG_IGN) continue;
    sigaddset(&signals, signal);
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread(wait_for_signals, signals, json).detach();
}

void remove_temporaries_when_ended(const std::string& path) {
  std::lock_guard lock(path_mutex);
  path_being_written = path;
}

void throw_if_interrupted() {
  if (int signal = requested_signal) throw interruption_error(signal);
}

int interruption_fd() {
  static const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd;
}

StoppableWork::StoppableWork() {
  stoppable_work = Work::Running;
}
StoppableWork::~StoppableWork() {
  stoppable_work = Work::None;
}
bool StoppableWork::stopped() const {
  return stoppable_work == Work::Stopped;
}

}  // namespace tenon::cli
