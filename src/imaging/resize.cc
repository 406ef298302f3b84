#include "imaging/resize.h"

#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"
#include "imaging/codecs.h"

namespace tenon::imaging {
namespace {

constexpr int kBits = 32 - 8 - 2;

double triangle(double x) {
  return std::max(0.0, 1.0 - std::fabs(x));
}

uint8_t clip(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kBits, 0, 255));
}

Image resize_columns(const Image& image, int64_t width) {
  std::vector<ResizeTaps> taps = make_resize_taps(image.width, width);
  Image result = Image::make(width, image.height);
  process_thread_pool().parallel_for(image.height, 16, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        int32_t sums[] = {1 << (kBits - 1), 1 << (kBits - 1), 1 << (kBits - 1)};
        const uint8_t* pixel = image.row(y) + 3 * taps[x].first;
        for (int32_t weight : taps[x].weights) {
          for (int c = 0; c < 3; ++c) sums[c] += pixel[c] * weight;
          pixel += 3;
        }
        for (int c = 0; c < 3; ++c) result.row(y)[3 * x + c] = clip(sums[c]);
      }
    }
  });
  return result;
}

Image resize_rows(const Image& image, int64_t height) {
  std::vector<ResizeTaps> taps = make_resize_taps(image.height, height);
  Image result = Image::make(image.width, height);
  int64_t columns = image.width * 3;
  process_thread_pool().parallel_for(height, 16, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> sums(static_cast<size_t>(columns));
    for (int64_t y = begin; y < end; ++y) {
      std::fill(sums.begin(), sums.end(), 1 << (kBits - 1));
      const uint8_t* row = image.row(taps[y].first);
      for (int32_t weight : taps[y].weights) {
        for (int64_t i = 0; i < columns; ++i) sums[i] += row[i] * weight;
        row += columns;
      }
      for (int64_t i = 0; i < columns; ++i) result.row(y)[i] = clip(sums[i]);
    }
  });
  return result;
}

}  // namespace

// In the order of Pillow's own operations: the last bit of a weight depends on it.
std::vector<ResizeTaps> make_resize_taps(int64_t in, int64_t out) {
  double scale = static_cast<double>(in) / static_cast<double>(out);
  double filter_scale = std::max(scale, 1.0), support = filter_scale, step = 1.0 / filter_scale;
  std::vector<ResizeTaps> all(static_cast<size_t>(out));
  for (int64_t i = 0; i < out; ++i) {
    double centre = (static_cast<double>(i) + 0.5) * scale;
    auto first = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
    auto end = std::min<int64_t>(static_cast<int64_t>(centre + support + 0.5), in);
    std::vector<double> weights;
    double sum = 0;
    for (int64_t x = first; x < end; ++x) {
      weights.push_back(triangle((static_cast<double>(x) - centre + 0.5) * step));
      sum += weights.back();
    }
    ResizeTaps& taps = all[i];
    taps.first = first;
    for (double weight : weights) {
      if (sum != 0) weight /= sum;
      taps.weights.push_back(static_cast<int32_t>(0.5 + weight * (1 << kBits)));
    }
  }
  return all;
}

Image resize_bilinear(const Image& image, int64_t width, int64_t height) {
  check_size(width, height);
  // Pillow leaves out a pass that changes nothing.
  Image result = width == image.width ? image : resize_columns(image, width);
  return height == result.height ? result : resize_rows(result, height);
}

}  // namespace tenon::imaging
