#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace tenon::text {

// "line 3, column 14" of a byte of `source`; columns count characters.
std::string place_in(std::string_view source, size_t offset);

// What one rendering has used, and where it is: hostile templates end here, in one clear error.
class RenderState {
 public:
  RenderState(std::string_view source, const std::tm& now) : source_(source), now_(now) {}
  RenderState(const RenderState&) = delete;
  RenderState& operator=(const RenderState&) = delete;

  // The construct that works now: errors name its place.
  void enter(size_t offset) { offset_ = offset; }
  size_t offset() const { return offset_; }
  // `units` of work of about 100 ns. Throws ErrorCode::BadInput over kLimits.template_steps.
  void work(int64_t units = 1) {
    steps_ += units;
    if (steps_ > most_steps_) too_many_steps();
  }
  // Work of moving so many bytes.
  void work_on_bytes(size_t bytes) { work(1 + static_cast<int64_t>(bytes >> 9)); }
  // Memory that values hold. Throws over kLimits.template_bytes_held.
  void hold(size_t bytes);
  void release(size_t bytes) { held_ -= static_cast<int64_t>(bytes); }
  // Checks a size before it is made: what would pass the limit is never allocated.
  void check_room(int64_t bytes) const;

  const std::tm& now() const { return now_; }
  // An error with the place.
  Error error(std::string_view what, ErrorCode code = ErrorCode::BadInput) const;

  int depth = 0;  // of evaluation; see DepthGuard

 private:
  [[noreturn]] void too_many_steps() const;
  std::string_view source_;
  std::tm now_;
  size_t offset_ = 0;
  int64_t steps_ = 0, held_ = 0;
  static const int64_t most_steps_;
};

// Counts nested evaluation, which is recursion of our own stack.
class DepthGuard {
 public:
  explicit DepthGuard(RenderState& state);
  ~DepthGuard() { --state_.depth; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

 private:
  RenderState& state_;
};

// Memory of one value, counted while it lives. Without a state (constants of the template, whose
// size is limited) nothing is counted.
class Charge {
 public:
  Charge(RenderState* state, size_t bytes) : state_(state), bytes_(bytes) {
    if (state_) state_->hold(bytes_);
  }
  ~Charge() {
    if (state_) state_->release(bytes_);
  }
  Charge(Charge&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), bytes_(other.bytes_) {}
  Charge& operator=(Charge&&) = delete;
  void grow(size_t bytes) {
    if (state_) state_->hold(bytes);
    bytes_ += bytes;
  }

 private:
  RenderState* state_;
  size_t bytes_;
};

}  // namespace tenon::text
