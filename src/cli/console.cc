#include "cli/console.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace tenon::cli {
namespace {

// A verb that failed its budget has printed its figures: the error is then on stderr alone.
std::atomic<bool> document_printed = false;
std::atomic<bool> prints_lines = false;

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EPIPE) throw OutputClosed();
    if (written < 0) {
      throw Error(ErrorCode::Io, std::strerror(errno)).at("standard output");
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
}

// Bytes of the character at the start of `text`, or 0 where it is no valid UTF-8.
size_t character_bytes(std::string_view text) {
  for (size_t bytes = 1; bytes <= 4 && bytes <= text.size(); ++bytes) {
    if (is_valid_utf8(text.substr(0, bytes))) return bytes;
  }
  return 0;
}

bool is_control(std::string_view character) {
  auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) {
    return (first < 0x20 && first != '\n' && first != '\t') || first == 0x7F;
  }
  // U+0080 to U+009F: old terminals take them for escape sequences.
  return character.size() == 2 && first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
}

data::Json error_document(const Error& error) {
  data::Json fields = data::Json::object();
  fields.set("code", static_cast<int>(error.code())).set("name", error_code_name(error.code()));
  fields.set("message", error.what()).set("problem", error.problem());
  fields.set("place", error.place()).set("got", error.got());
  fields.set("accepted", error.accepted()).set("fix", error.fix());
  data::Json document = data::Json::object();
  document.set("schema", kJsonSchema).set("error", std::move(fields));
  return document;
}

}  // namespace

void Console::print(std::string_view text) {
  write_all(STDOUT_FILENO, text);
}

void Console::print_untrusted(std::string_view text) {
  print(isatty(STDOUT_FILENO) ? printable(text) : std::string(text));
}

void Console::print_document(std::string_view verb, const data::Json& fields) {
  data::Json document = data::Json::object();
  document.set("schema", kJsonSchema).set("verb", verb);
  for (const auto& [name, value] : fields.as_object("document")) document.set(name, value);
  document_printed = true;
  print(document.dump(2) + "\n");
}

void Console::print_line(const data::Json& document) {
  prints_lines = true;
  print(document.dump() + "\n");
}

void Console::note(std::string_view line) {
  if (!quiet()) fmt::print(stderr, "{}\n", printable(line));
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    size_t bytes = character_bytes(text);
    std::string_view character = text.substr(0, bytes ? bytes : 1);
    if (bytes && !is_control(character)) {
      out += character;
    } else {
      for (char byte : character) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    }
    text.remove_prefix(character.size());
  }
  return out;
}

void print_error(const Error& error, bool json) {
  // Two threads may want to: the one that works and the one that ends it. One document, then.
  static std::atomic_flag printed;
  if (printed.test_and_set()) return;
  try {
    fmt::print(stderr, "error: {}\n", error.what());
    if (!json || document_printed) return;
    write_all(STDOUT_FILENO, error_document(error).dump(prints_lines ? 0 : 2) + "\n");
  } catch (const std::exception&) {
    // Nobody listens; the exit code still tells.
  }
}

void open_missing_standard_files() {
  // Read-only for stdout: a result written there is an error, not lost in silence.
  constexpr int kModes[] = {O_RDONLY, O_RDONLY, O_WRONLY};
  for (int fd = 0; fd < 3; ++fd) {
    if (fcntl(fd, F_GETFD) != -1) continue;
    int opened = ::open("/dev/null", kModes[fd]);
    if (opened >= 0 && opened != fd) {
      dup2(opened, fd);
      close(opened);
    }
  }
}

}  // namespace tenon::cli
