#include "text/repaired_text.h"

#include <algorithm>

namespace tenon::text {

RepairedText make_repaired_text(std::string_view text, std::span<const ByteRange> plain,
                                Utf8Assembler::Replacement replacement) {
  RepairedText repaired;
  Utf8Assembler assembler(replacement);
  size_t done = 0;
  auto pass = [&](size_t end) {
    end = std::clamp(end, done, text.size());
    for (; done < end; ++done) {
      assembler.push(static_cast<uint8_t>(text[done]), repaired.text);
    }
    assembler.finish(repaired.text);
    return repaired.text.size();
  };
  for (const ByteRange& range : plain) {
    size_t begin = pass(range.begin), end = pass(range.end);
    repaired.plain.push_back({begin, end});
  }
  pass(text.size());
  return repaired;
}

std::vector<ByteRange> whole_char_ranges(std::string_view text, std::span<const ByteRange> plain) {
  auto is_inside = [&](size_t at) {
    return at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80;
  };
  std::vector<ByteRange> ranges;
  for (const ByteRange& range : plain) {
    size_t before = ranges.empty() ? 0 : ranges.back().end;
    size_t begin = std::min(range.begin, text.size()), end = std::min(range.end, text.size());
    while (is_inside(begin)) --begin;
    while (is_inside(end)) ++end;
    begin = std::max(begin, before);
    if (begin < end) ranges.push_back({begin, end});
  }
  return ranges;
}

}  // namespace tenon::text
