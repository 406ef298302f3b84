#include "imaging/rle.h"

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "imaging/codecs.h"

namespace tenon::imaging {

Rle encode_rle(const Mask& mask) {
  Rle rle{mask.width, mask.height, {}};
  // One transposed column at a time would touch a cache line a pixel; a band of columns does not.
  constexpr int64_t kBand = 64;
  std::vector<uint8_t> band(static_cast<size_t>(kBand * mask.height));
  uint8_t value = 0;
  uint32_t length = 0;
  for (int64_t begin = 0; begin < mask.width; begin += kBand) {
    int64_t columns = std::min(kBand, mask.width - begin);
    for (int64_t y = 0; y < mask.height; ++y) {
      for (int64_t x = 0; x < columns; ++x) band[x * mask.height + y] = mask.row(y)[begin + x];
    }
    for (int64_t i = 0; i < columns * mask.height; ++i) {
      if (band[i] != value) {
        rle.counts.push_back(length);
        length = 0;
        value = band[i];
      }
      ++length;
    }
  }
  rle.counts.push_back(length);
  return rle;
}

namespace {

// Calls visit(word's first pixel, changes) for each word of the columns: bit i of `changes` says
// that pixel i differs from the one before it, the first pixel of all from zero.
template <class Visit>
void each_change(std::span<const uint32_t> columns, int64_t width, int64_t height, Visit visit) {
  int64_t words = (height + 31) / 32;
  uint32_t before = 0;
  for (int64_t x = 0; x < width; ++x) {
    const uint32_t* column = columns.data() + x * words;
    for (int64_t word = 0; word < words; ++word) {
      uint32_t bits = column[word], changes = bits ^ (bits << 1 | before);
      auto count = static_cast<int>(std::min<int64_t>(32, height - word * 32));
      if (count < 32) changes &= (1u << count) - 1;
      before = bits >> (count - 1) & 1;
      if (changes) visit(x * height + word * 32, changes);
    }
  }
}

}  // namespace

Rle encode_rle(std::span<const uint32_t> columns, int64_t width, int64_t height) {
  Rle rle{width, height, {}};
  // Counted first: masks of noise have a hundred thousand runs, and growing copies them.
  size_t runs = 1;
  each_change(columns, width, height, [&](int64_t, uint32_t changes) {
    runs += static_cast<size_t>(std::popcount(changes));
  });
  rle.counts.resize(runs);
  uint32_t* to = rle.counts.data();
  int64_t last = 0;
  each_change(columns, width, height, [&](int64_t first, uint32_t changes) {
    for (; changes != 0; changes &= changes - 1) {
      int64_t at = first + std::countr_zero(changes);
      *to++ = static_cast<uint32_t>(at - last);
      last = at;
    }
  });
  *to = static_cast<uint32_t>(width * height - last);
  return rle;
}

Mask decode_rle(const Rle& rle) {
  check_size(rle.width, rle.height);
  int64_t pixels = rle.width * rle.height, total = 0;
  for (uint32_t count : rle.counts) total += count;
  if (total != pixels) {
    throw Error(ErrorCode::BadInput, "runs do not fill the mask")
        .got(std::to_string(total) + " pixels")
        .accepted(std::to_string(pixels));
  }
  Mask mask = Mask::make(rle.width, rle.height);
  int64_t at = 0;
  for (size_t i = 0; i < rle.counts.size(); ++i) {
    int64_t end = at + rle.counts[i];
    for (; i % 2 == 1 && at < end; ++at)
      mask.pixels[(at % rle.height) * rle.width + at / rle.height] = 1;
    at = end;
  }
  return mask;
}

int64_t area(const Rle& rle) {
  int64_t total = 0;
  for (size_t i = 1; i < rle.counts.size(); i += 2) total += rle.counts[i];
  return total;
}

std::string compress_counts(const std::vector<uint32_t>& counts) {
  std::string text;
  for (size_t i = 0; i < counts.size(); ++i) {
    int64_t rest = counts[i];
    if (i > 2) rest -= counts[i - 2];
    for (bool more = true; more;) {
      auto bits = static_cast<int>(rest & 0x1F);
      rest >>= 5;
      more = (bits & 0x10) ? rest != -1 : rest != 0;
      if (more) bits |= 0x20;
      text += static_cast<char>(bits + 48);
    }
  }
  return text;
}

std::vector<uint32_t> parse_counts(std::string_view text) {
  std::vector<uint32_t> counts;
  for (size_t at = 0; at < text.size();) {
    int64_t value = 0;
    int shift = 0;
    for (bool more = true; more;) {
      int bits = at < text.size() ? text[at] - 48 : -1;
      if (bits < 0 || bits > 0x3F || shift > 35)
        throw Error(ErrorCode::BadInput, "not the counts of a mask")
            .at("character " + std::to_string(at));
      value |= static_cast<int64_t>(bits & 0x1F) << shift;
      more = bits & 0x20;
      shift += 5;
      ++at;
      if (!more && (bits & 0x10)) value -= int64_t{1} << shift;
    }
    if (counts.size() > 2) value += counts[counts.size() - 2];
    if (value < 0 || value > UINT32_MAX)
      throw Error(ErrorCode::BadInput, "a run is negative or too long").got(std::to_string(value));
    counts.push_back(static_cast<uint32_t>(value));
  }
  return counts;
}

}  // namespace tenon::imaging
