#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "imaging/mask.h"

namespace tenon::imaging {

// A mask as COCO writes it: lengths of runs down the columns, the first of zeros (so it may be 0).
// Source: cocodataset/cocoapi common/maskApi.c.
struct Rle {
  int64_t width = 0, height = 0;
  std::vector<uint32_t> counts;
  bool operator==(const Rle&) const = default;
};

Rle encode_rle(const Mask& mask);
// Of bits down the columns: bit y % 32 of word y / 32 of a column; bits behind the height are zero.
// columns [width, words] with words = ceil(height / 32).
Rle encode_rle(std::span<const uint32_t> columns, int64_t width, int64_t height);
// Throws ErrorCode::BadInput where the runs do not fill the size exactly, or it is over the limits.
Mask decode_rle(const Rle& rle);
int64_t area(const Rle& rle);

// COCO's printable form of the counts: six bits a character, differences to the run before last.
std::string compress_counts(const std::vector<uint32_t>& counts);
// Throws ErrorCode::BadInput where the text is not such a form.
std::vector<uint32_t> parse_counts(std::string_view text);

}  // namespace tenon::imaging
