// Source: facebookresearch/segment-anything segment_anything/utils/transforms.py, modeling/sam.py.
#include "pipelines/sam/preprocess.h"

#include <algorithm>

#include "imaging/resize.h"

namespace tenon::sam {

Size fitted_size(Size picture, int64_t longest) {
  double scale =
      static_cast<double>(longest) / static_cast<double>(std::max(picture.width, picture.height));
  auto fit = [&](int64_t side) {
    // A picture a thousand times as long as wide would lose its shorter side.
    return std::max<int64_t>(static_cast<int64_t>(static_cast<double>(side) * scale + 0.5), 1);
  };
  return {fit(picture.width), fit(picture.height)};
}

Tensor make_pixels(const imaging::Image& image, const SamInfo& info) {
  Size size = fitted_size({image.width, image.height}, info.image_size);
  imaging::Image resized = imaging::resize_bilinear(image, size.width, size.height);
  Tensor pixels = Tensor::make_zeros(DType::F32, {info.image_size, info.image_size, 3});
  for (int64_t y = 0; y < size.height; ++y) {
    const uint8_t* from = resized.row(y);
    float* to = pixels.as<float>() + y * info.image_size * 3;
    for (int64_t i = 0; i < size.width * 3; ++i)
      to[i] = (static_cast<float>(from[i]) - info.pixel_mean[i % 3]) / info.pixel_deviation[i % 3];
  }
  return pixels;
}

Tensor make_prep_taps(int64_t from, int64_t to, int64_t side) {
  std::vector<imaging::ResizeTaps> taps = imaging::make_resize_taps(from, to);
  size_t most = 1;
  for (const imaging::ResizeTaps& one : taps) most = std::max(most, one.weights.size());
  auto pitch = static_cast<int64_t>(most) + 1;
  Tensor table = Tensor::make_zeros(DType::I32, {side, pitch});
  for (int64_t i = 0; i < side; ++i) {
    int32_t* row = table.as<int32_t>() + i * pitch;
    row[0] = i < to ? static_cast<int32_t>(taps[i].first) : -1;
    if (i < to) std::copy(taps[i].weights.begin(), taps[i].weights.end(), row + 1);
  }
  return table;
}

}  // namespace tenon::sam
