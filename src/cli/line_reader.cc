#include "cli/line_reader.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "cli/interruption.h"

namespace tenon::cli {

void LineReader::fill() {
  pollfd waited[] = {{fd_, POLLIN, 0}, {interruption_fd(), POLLIN, 0}};
  if (poll(waited, 2, -1) < 0 && errno != EINTR) {
    throw Error(ErrorCode::Io, std::strerror(errno)).at("standard input");
  }
  throw_if_interrupted();
  if (waited[0].revents == 0) return;
  char buffer[4096];
  ssize_t got = read(fd_, buffer, sizeof buffer);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got < 0) throw Error(ErrorCode::Io, std::strerror(errno)).at("standard input");
  ended_ = got == 0;
  pending_.append(buffer, static_cast<size_t>(got));
}

std::optional<std::string> LineReader::next() {
  for (;;) {
    size_t end = pending_.find('\n', searched_);
    if (end != std::string::npos) {
      std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      searched_ = 0;
      if (line.ends_with('\r')) line.pop_back();
      return line;
    }
    searched_ = pending_.size();
    if (ended_) {
      searched_ = 0;
      return pending_.empty() ? std::nullopt : std::optional(std::exchange(pending_, {}));
    }
    if (static_cast<int64_t>(pending_.size()) > kLimits.prompt_bytes) {
      throw Error(ErrorCode::BadInput, "a line is too long")
          .at("standard input")
          .accepted("at most " + format_bytes(static_cast<uint64_t>(kLimits.prompt_bytes)));
    }
    fill();
  }
}

}  // namespace tenon::cli
