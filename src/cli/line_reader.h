#pragma once

#include <optional>
#include <string>

namespace tenon::cli {

// Lines from standard input, for a verb that waits for people: being asked to end (Ctrl-C) ends the
// waiting at once.
class LineReader {
 public:
  explicit LineReader(int fd = 0) : fd_(fd) {}
  // The next line without its newline; nothing at the end. Throws ErrorCode::Interrupted or
  // Terminated, Io, and BadInput for a line over kLimits.prompt_bytes.
  std::optional<std::string> next();

 private:
  void fill();
  int fd_;
  std::string pending_;
  size_t searched_ = 0;  // bytes of pending_ without a newline
  bool ended_ = false;
};

}  // namespace tenon::cli
