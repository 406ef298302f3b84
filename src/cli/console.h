#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "base/error.h"
#include "data/json.h"

namespace tenon::cli {

// Whoever read standard output has closed it: it has seen enough. Ends the verb without an error.
class OutputClosed : public std::exception {
 public:
  const char* what() const noexcept override { return "standard output was closed"; }
};

struct ConsoleOptions {
  bool json = false;   // one document on stdout, and nothing else there
  bool quiet = false;  // nothing on stderr but errors
};

// Where a verb writes. Results go to stdout, everything about the work to stderr.
class Console {
 public:
  explicit Console(const ConsoleOptions& options) : options_(options) {}

  bool json() const { return options_.json; }
  bool quiet() const { return options_.quiet; }

  // Text for people, as it is. Throws OutputClosed, or ErrorCode::Io (a full disk).
  void print(std::string_view text);
  // Like print, for text that comes from a file or a model: control characters other than newline
  // and tab are escaped where stdout is a terminal, which they could steer. Programs get the bytes.
  void print_untrusted(std::string_view text);
  // The one document of --json: `fields`, after the schema's version and the verb's name.
  void print_document(std::string_view verb, const data::Json& fields);
  // One of many documents, each in one line: for verbs that go on, like chat. From the first use on
  // an error's document is one line, too.
  void print_line(const data::Json& document);
  // A line about the work, on stderr.
  void note(std::string_view line);

 private:
  ConsoleOptions options_;
};

// Keeps newlines and tabs; other control characters and invalid UTF-8 become \xNN.
std::string printable(std::string_view text);

// Version of the documents that --json prints.
inline constexpr int kJsonSchema = 1;

// The line on stderr and, with `json`, the document on stdout, unless the verb has printed its own
// (figures that missed a budget). Only the first error of the process is printed. Throws nothing.
void print_error(const Error& error, bool json);

// Opens /dev/null for standard files that the caller closed, so that no file of ours gets their
// number and is written to by accident.
void open_missing_standard_files();

}  // namespace tenon::cli
