#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"
#include "text/unicode.h"

namespace tenon::text {

// A text as valid UTF-8: what is ill-formed became U+FFFD. `plain` are the given ranges, moved to
// where their text now is. A character cut in two by the end of a range is ill-formed on both
// sides.
struct RepairedText {
  std::string text;
  std::vector<ByteRange> plain;
};
RepairedText make_repaired_text(std::string_view text, std::span<const ByteRange> plain,
                                Utf8Assembler::Replacement replacement);

// The ranges within valid UTF-8 `text`, grown where they begin or end inside a character.
std::vector<ByteRange> whole_char_ranges(std::string_view text, std::span<const ByteRange> plain);

}  // namespace tenon::text
