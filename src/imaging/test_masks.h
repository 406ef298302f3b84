#pragma once

#include <string_view>

#include "imaging/mask.h"

namespace tenon::imaging {

// Rows of '#' and '.', one under the other: "##./#.#".
inline Mask make_mask(std::string_view rows) {
  Mask mask;
  mask.width = static_cast<int64_t>(rows.find('/') == rows.npos ? rows.size() : rows.find('/'));
  for (char c : rows) {
    if (c != '/') mask.pixels.push_back(c == '#');
  }
  mask.height = static_cast<int64_t>(mask.pixels.size()) / mask.width;
  return mask;
}

// A mask of blobs and grain.
inline Mask make_noisy_mask(int64_t width, int64_t height, uint64_t seed) {
  Mask mask = Mask::make(width, height);
  for (int64_t i = 0; i < width * height; ++i) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    bool blob = (i % width / 5 + i / width / 7) % 2 == 0;
    mask.pixels[i] = (seed >> 60) < (blob ? 14 : 2);
  }
  return mask;
}

}  // namespace tenon::imaging
