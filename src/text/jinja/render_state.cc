#include "text/jinja/render_state.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"

namespace tenon::text {

const int64_t RenderState::most_steps_ = kLimits.template_steps;

std::string place_in(std::string_view source, size_t offset) {
  std::string_view before = source.substr(0, std::min(offset, source.size()));
  auto line = std::count(before.begin(), before.end(), '\n') + 1;
  size_t newline = before.rfind('\n');
  std::string_view row = newline == before.npos ? before : before.substr(newline + 1);
  auto column = std::count_if(row.begin(), row.end(),
                              [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
  return "line " + std::to_string(line) + ", column " + std::to_string(column + 1);
}

Error RenderState::error(std::string_view what, ErrorCode code) const {
  return Error(code, what).at("chat template").at(place_in(source_, offset_));
}

void RenderState::hold(size_t bytes) {
  check_room(static_cast<int64_t>(bytes));
  held_ += static_cast<int64_t>(bytes);
}

void RenderState::check_room(int64_t bytes) const {
  int64_t most = kLimits.template_bytes_held;
  if (bytes >= 0 && bytes <= most && held_ + bytes <= most) return;
  throw error("the template's values take too much memory")
      .accepted("at most " + format_bytes(static_cast<uint64_t>(most)));
}

void RenderState::too_many_steps() const {
  throw error("the template takes too long")
      .accepted("at most " + std::to_string(most_steps_) + " steps")
      .fix("look for a loop without end, or shorten the conversation");
}

DepthGuard::DepthGuard(RenderState& state) : state_(state) {
  if (++state.depth <= kLimits.template_depth) return;
  --state.depth;
  throw state.error("the template nests too deeply")
      .accepted("at most " + std::to_string(kLimits.template_depth) + " levels")
      .fix("look for a macro that calls itself without end");
}

}  // namespace tenon::text
