#include "base/error.h"

#include "base/text.h"

namespace tenon {

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::Internal:
      return "internal";
    case ErrorCode::Usage:
      return "usage";
    case ErrorCode::BadInput:
      return "bad_input";
    case ErrorCode::Unsupported:
      return "unsupported";
    case ErrorCode::ProofFailed:
      return "proof_failed";
    case ErrorCode::OutOfMemory:
      return "out_of_memory";
    case ErrorCode::WrongPlan:
      return "wrong_plan";
    case ErrorCode::Io:
      return "io";
    case ErrorCode::DeviceFault:
      return "device_fault";
    case ErrorCode::Interrupted:
      return "interrupted";
    case ErrorCode::Terminated:
      return "terminated";
  }
  return "internal";
}

Error::Error(ErrorCode code, std::string_view what)
    : code_(code), problem_(escape_for_message(what)) {
  compose();
}

Error& Error::at(std::string_view place) & {
  if (!place_.empty()) place_ += ": ";
  place_ += escape_for_message(place);
  compose();
  return *this;
}

Error& Error::within(std::string_view outer_place) & {
  std::string outer = escape_for_message(outer_place);
  place_ = place_.empty() ? outer : outer + ": " + place_;
  compose();
  return *this;
}

Error& Error::got(std::string_view value) & {
  got_ = escape_for_message(value);
  compose();
  return *this;
}

Error& Error::accepted(std::string_view value) & {
  accepted_ = escape_for_message(value);
  compose();
  return *this;
}

Error& Error::fix(std::string_view advice) & {
  fix_ = escape_for_message(advice);
  compose();
  return *this;
}

void Error::compose() {
  message_ = place_.empty() ? problem_ : place_ + ": " + problem_;
  if (!got_.empty()) message_ += "; got " + got_;
  if (!accepted_.empty()) message_ += (got_.empty() ? "; accepted " : ", accepted ") + accepted_;
  if (!fix_.empty()) message_ += "; fix: " + fix_;
}

void Problems::throw_if_any() const {
  if (errors_.empty()) return;
  if (errors_.size() == 1) throw errors_.front();
  std::string all = std::to_string(errors_.size()) + " problems: ";
  constexpr size_t kMostShown = 200;
  for (size_t i = 0; i < errors_.size() && i < kMostShown; ++i) {
    if (i > 0) all += " | ";
    all += errors_[i].what();
  }
  if (errors_.size() > kMostShown) {
    all += " | and " + std::to_string(errors_.size() - kMostShown) + " more";
  }
  throw Error(errors_.front().code(), all);
}

void check_failed(const char* condition, const char* file, int line) {
  throw Error(ErrorCode::Internal, std::string("check failed: ") + condition)
      .at(std::string(file) + ":" + std::to_string(line))
      .fix("this is a bug in Tenon; please report it with the command that led here");
}

}  // namespace tenon
