#pragma once

#include <array>

#include "text/unicode.h"

namespace tenon::text {

// A character that becomes several: "ß" in capitals is "SS", at a word's beginning "Ss".
struct SpecialCasing {
  CodePoint character;
  std::array<CodePoint, 3> upper, title;  // 0 behind their end
};
// Null for characters with a simple mapping.
const SpecialCasing* special_casing(CodePoint c);

}  // namespace tenon::text
