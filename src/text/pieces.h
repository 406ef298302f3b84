#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::text {

// A range of bytes, and whether the pattern matched it.
struct Span {
  uint32_t begin, end;
  bool match;
};

// What a matched range does to the text around it. Contiguous joins neighbours of one sort.
enum class SplitBehavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };

// Rewrites spans, which cover a text without gaps, into the ranges that remain, in order.
void apply_behavior(SplitBehavior behavior, std::vector<Span>& spans);

struct Piece {
  uint32_t begin, end;    // in Pieces::text
  int32_t token = -1;     // id of an added token; other pieces are for the model
  bool at_start = false;  // begins where the original text does (for prepend_scheme "first")
};

// A text on its way to the model. A step either cuts pieces finer or writes a new text.
struct Pieces {
  std::string text;
  std::vector<Piece> items;

  std::string_view view(const Piece& piece) const {
    return std::string_view(text).substr(piece.begin, piece.end - piece.begin);
  }
};

// A hostile tokenizer file may blow a text up. What one of its stages may make of so many bytes:
// the most Unicode does to a text is 11 times (U+FDFA in NFKD), and twice that in byte-level form.
constexpr size_t growth_limit(size_t bytes) {
  return (size_t{16} << 10) + 32 * bytes;
}
// Throws ErrorCode::BadInput above `most`, and always above 1 GiB.
void check_growth(size_t bytes, size_t most = size_t{1} << 30);
void append_checked(std::string& out, std::string_view more);

}  // namespace tenon::text
