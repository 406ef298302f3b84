#pragma once

#include <optional>
#include <string>

#include "text/jinja/value.h"

namespace tenon::text {

// Python's str(): strings as they are, the rest as repr(); undefined is empty.
MarkedText to_text(RenderState& state, const Value& value);
MarkedText to_repr(RenderState& state, const Value& value);
std::string float_repr(double value);

// As json.dumps writes.
struct JsonStyle {
  bool ascii = false;
  std::optional<std::string> indent;
  std::string item_separator = ", ", key_separator = ": ";
  bool sort_keys = false;
};
MarkedText to_json_text(RenderState& state, const Value& value, const JsonStyle& style);

}  // namespace tenon::text
