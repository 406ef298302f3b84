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

}  // namespace tenon::text
