#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

// What went wrong, as the process exit code documents it (docs/exit_codes.md).
enum class ErrorCode : int {
  Internal = 1,     // a bug in Tenon
  Usage = 2,        // the command or call was misused
  BadInput = 3,     // a file or value from outside is wrong
  Unsupported = 4,  // valid, but Tenon cannot do it; or no such device
  ProofFailed = 5,  // a gate, comparison or evaluation missed its budget
  OutOfMemory = 6,
  WrongPlan = 7,  // the plan lacks this architecture, or its format version is not readable here
  Io = 8,
  DeviceFault = 9,
  Interrupted = 130,
  Terminated = 143,
};

// The short lower-case name of a code, as in JSON output: "bad_input".
std::string_view error_code_name(ErrorCode code);

// The one exception type of Tenon. Thrown with a builder:
//   throw Error(ErrorCode::BadInput, "header is longer than the file")
//       .at(path).got("4096").accepted("at most 512").fix("download the file again");
// and caught in three places only: the C ABI, a CLI verb, a request handler.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string_view what);

  // Where: a file, and a tensor, field, byte offset or node in it. Calls accumulate: "file: tensor
  // x".
  Error& at(std::string_view place) &;
  Error& got(std::string_view value) &;
  Error& accepted(std::string_view value) &;
  Error& fix(std::string_view advice) &;
  Error&& at(std::string_view place) && { return std::move(at(place)); }
  Error&& got(std::string_view value) && { return std::move(got(value)); }
  Error&& accepted(std::string_view value) && { return std::move(accepted(value)); }
  Error&& fix(std::string_view advice) && { return std::move(fix(advice)); }

  // Puts an outer place before the ones already known: "shard.safetensors" before "tensor x".
  Error& within(std::string_view outer_place) &;

  ErrorCode code() const { return code_; }
  const std::string& problem() const { return problem_; }
  const std::string& place() const { return place_; }
  const std::string& got() const { return got_; }
  const std::string& accepted() const { return accepted_; }
  const std::string& fix() const { return fix_; }

  // One line: "<place>: <problem>; got <got>, accepted <accepted>; fix: <fix>". Control characters
  // of hostile input are escaped.
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  void compose();

  ErrorCode code_;
  std::string problem_, place_, got_, accepted_, fix_, message_;
};

// Collects every problem of one pass, then throws them as one Error of the first problem's code.
class Problems {
 public:
  void add(Error error) { errors_.push_back(std::move(error)); }
  bool empty() const { return errors_.empty(); }
  size_t size() const { return errors_.size(); }
  const std::vector<Error>& errors() const { return errors_; }

  // Nothing when empty; the error itself when there is one; else "<n> problems: a | b | c".
  void throw_if_any() const;

 private:
  std::vector<Error> errors_;
};

// For what no input can trigger. A failed check throws ErrorCode::Internal naming file and line.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
#define TENON_CHECK(condition) \
  ((condition) ? void(0) : ::tenon::check_failed(#condition, __FILE__, __LINE__))

}  // namespace tenon
