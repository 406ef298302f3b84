#include "cli/interruption.h"

#include <signal.h>
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
  while (sigwait(&signals, &signal) != 0) {
  }
  requested_signal = signal;
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

}  // namespace tenon::cli
