#include <unistd.h>

#include <exception>
#include <string_view>

#include "base/error.h"
#include "cli/program.h"

namespace {

std::terminate_handler usual_end = nullptr;

// Constants of libraries are made before main(), where nobody catches what they throw: that there
// is no memory, not even for the exception.
[[noreturn]] void end_before_main() {
  constexpr std::string_view kText = "error: not enough memory to begin\n";
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, kText.data(), kText.size());
  _exit(static_cast<int>(tenon::ErrorCode::OutOfMemory));
}

void watch_beginning(int, char**, char**) {
  usual_end = std::set_terminate(end_before_main);
}

// Runs before the constructors of all libraries.
using Beginning = void (*)(int, char**, char**);
[[gnu::section(".preinit_array"), gnu::used]] Beginning watch = watch_beginning;

}  // namespace

int main(int argc, char** argv) {
  std::set_terminate(usual_end);
  return tenon::cli::run_program(argc, argv);
}
