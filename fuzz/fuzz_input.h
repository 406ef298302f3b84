#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

// What libFuzzer and replay_main.cc call for every input. Anything but a tenon::Error that escapes,
// a sanitizer's report, or an error that is a bug of ours (ErrorCode::Internal), is a finding.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace tenon::fuzz {

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}
inline std::span<const std::byte> bytes_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

// Runs the reader; a refusal is a good answer.
template <class Read>
void refuse_or_accept(Read&& read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Internal) std::abort();
  }
}

// The input as a file, for readers that map one.
class InputFile {
 public:
  InputFile(const void* data, size_t size) : fd_(memfd_create("input", MFD_CLOEXEC)) {
    if (fd_ < 0 || ::write(fd_, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  ~InputFile() { ::close(fd_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

// Keeps reads whose result nobody needs.
inline void use(std::span<const std::byte> bytes) {
  unsigned sum = 0;
  for (std::byte byte : bytes) sum += static_cast<unsigned>(byte);
  if (sum == 0xFFFFFFFFu) std::abort();
}

}  // namespace tenon::fuzz
