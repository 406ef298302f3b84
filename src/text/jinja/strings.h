#pragma once

#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace tenon::text {

// Python's string functions on marked text, shared by filters and methods.

enum class Side { Left, Right, Both };
// Without the characters of `chars` at its ends; nullptr: white space.
MarkedText strip(RenderState& state, const MarkedText& text, const std::string* chars, Side side);
// Cut at `separator`, at most `most` times (negative: always), from the left or the right end.
std::vector<MarkedText> split_at(RenderState& state, const MarkedText& text,
                                 std::string_view separator, int64_t most, bool from_right);
// Cut at runs of white space.
std::vector<MarkedText> split_words(RenderState& state, const MarkedText& text, int64_t most,
                                    bool from_right);
std::vector<MarkedText> split_lines(RenderState& state, const MarkedText& text, bool keep_ends);
MarkedText replace(RenderState& state, const MarkedText& text, std::string_view old,
                   const MarkedText& by, int64_t most);
MarkedText join(RenderState& state, const std::vector<MarkedText>& parts,
                const MarkedText& separator);

enum class Case { Upper, Lower, Title, Capitalized, Swapped };
// As Python's methods: "ß" becomes "SS"; only a last sigma in small letters stays as any sigma.
MarkedText with_case(RenderState& state, const MarkedText& text, Case wanted);
// As Jinja's filter `title`: words begin after white space, a hyphen or an opening bracket.
MarkedText jinja_title(RenderState& state, const MarkedText& text);

bool is_python_space(int32_t c);
Value make_strings(RenderState& state, std::vector<MarkedText> parts);

}  // namespace tenon::text
