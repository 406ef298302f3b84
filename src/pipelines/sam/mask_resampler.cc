// Source: facebookresearch/segment-anything segment_anything/modeling/sam.py postprocess_masks;
// weights as torch.nn.functional.interpolate(mode="bilinear", align_corners=False) has them.
#include "pipelines/sam/mask_resampler.h"

#include <algorithm>

#include "base/error.h"

namespace tenon::sam {
namespace {

struct Pair {
  int64_t first = 0;
  float second_weight = 0;
};

// Which two of `in` samples make sample `at` of `out`, in f32 as torch computes it.
Pair pair_for(int64_t at, int64_t in, int64_t out) {
  float scale = static_cast<float>(in) / static_cast<float>(out);
  float place = std::max(scale * (static_cast<float>(at) + 0.5f) - 0.5f, 0.0f);
  auto first = std::min(static_cast<int64_t>(place), in - 1);
  float weight = std::min(place - static_cast<float>(first), 1.0f);
  return {first, first + 1 < in ? weight : 0.0f};
}

}  // namespace

std::vector<MaskResampler::Taps> MaskResampler::make_taps(int64_t mask, int64_t square,
                                                          int64_t fitted, int64_t picture) {
  std::vector<Taps> all(static_cast<size_t>(picture));
  for (int64_t i = 0; i < picture; ++i) {
    Pair outer = pair_for(i, fitted, picture);
    Taps& taps = all[i];
    Pair low = pair_for(outer.first, mask, square);
    Pair high = pair_for(std::min(outer.first + 1, square - 1), mask, square);
    // Three samples hold everything: the square is at least as fine as the mask.
    taps.first = static_cast<int32_t>(std::min(low.first, std::max<int64_t>(mask - 3, 0)));
    auto add = [&](const Pair& pair, float share) {
      int64_t at = pair.first - taps.first;
      taps.weights[at] += share * (1 - pair.second_weight);
      if (pair.second_weight > 0) taps.weights[at + 1] += share * pair.second_weight;
    };
    add(low, 1 - outer.second_weight);
    if (outer.second_weight > 0) add(high, outer.second_weight);
  }
  return all;
}

MaskResampler::MaskResampler(const SamInfo& info, Size picture)
    : mask_size_(info.mask_size), picture_(picture) {
  TENON_CHECK(info.mask_size >= 3 && info.image_size >= info.mask_size);
  Size fitted = fitted_size(picture, info.image_size);
  columns_ = make_taps(info.mask_size, info.image_size, fitted.width, picture.width);
  rows_ = make_taps(info.mask_size, info.image_size, fitted.height, picture.height);
}

Tensor MaskResampler::make_taps_y() const {
  int64_t words = (picture_.height + 31) / 32;
  Tensor tensor = Tensor::make_zeros(DType::F32, {words, 32, 4});
  write_taps(rows_, tensor.as<float>());
  // Behind the last row there is none.
  for (int64_t y = picture_.height; y < words * 32; ++y) tensor.as<float>()[y * 4] = -1;
  return tensor;
}

Tensor MaskResampler::make_taps_x() const {
  Tensor tensor = Tensor::make_zeros(DType::F32, {picture_.width, 4});
  write_taps(columns_, tensor.as<float>());
  return tensor;
}

void MaskResampler::write_taps(const std::vector<Taps>& taps, float* to) {
  for (const Taps& tap : taps) {
    *to++ = static_cast<float>(tap.first);
    to = std::copy(std::begin(tap.weights), std::end(tap.weights), to);
  }
}

void MaskResampler::each_row(const float* logits,
                             FunctionRef<void(int64_t y, const float* values)> row) const {
  int64_t width = picture_.width;
  // Rows of the small mask, made wide when the picture first needs them; three at a time.
  std::vector<float> wide(static_cast<size_t>(3 * width)), values(static_cast<size_t>(width));
  int64_t held[] = {-1, -1, -1};
  auto wide_row = [&](int64_t index) {
    float* out = wide.data() + index % 3 * width;
    if (held[index % 3] == index) return out;
    held[index % 3] = index;
    const float* from = logits + index * mask_size_;
    for (int64_t x = 0; x < width; ++x) {
      const Taps& taps = columns_[x];
      const float* in = from + taps.first;
      out[x] = taps.weights[0] * in[0] + taps.weights[1] * in[1] + taps.weights[2] * in[2];
    }
    return out;
  };
  for (int64_t y = 0; y < picture_.height; ++y) {
    const Taps& taps = rows_[y];
    const float* a = wide_row(taps.first);
    const float* b = wide_row(taps.first + 1);
    const float* c = wide_row(taps.first + 2);
    for (int64_t x = 0; x < width; ++x)
      values[x] = taps.weights[0] * a[x] + taps.weights[1] * b[x] + taps.weights[2] * c[x];
    row(y, values.data());
  }
}

std::vector<float> MaskResampler::resample(const float* logits) const {
  std::vector<float> all(static_cast<size_t>(picture_.width * picture_.height));
  each_row(logits, [&](int64_t y, const float* values) {
    std::copy_n(values, picture_.width, all.data() + y * picture_.width);
  });
  return all;
}

imaging::Mask MaskResampler::threshold(const float* logits, float threshold) const {
  imaging::Mask mask = imaging::Mask::make(picture_.width, picture_.height);
  each_row(logits, [&](int64_t y, const float* values) {
    uint8_t* out = mask.row(y);
    for (int64_t x = 0; x < picture_.width; ++x) out[x] = values[x] > threshold;
  });
  return mask;
}

StableMask measure_stability(const MaskResampler& resampler, const float* logits, float threshold,
                             float offset) {
  Size size = resampler.size();
  StableMask result;
  result.mask = imaging::Mask::make(size.width, size.height);
  resampler.each_row(logits, [&](int64_t y, const float* values) {
    uint8_t* out = result.mask.row(y);
    int32_t certain = 0, possible = 0;
    for (int64_t x = 0; x < size.width; ++x) {
      out[x] = values[x] > threshold;
      certain += values[x] > threshold + offset;
      possible += values[x] > threshold - offset;
    }
    result.certain += certain;
    result.possible += possible;
  });
  return result;
}

}  // namespace tenon::sam
