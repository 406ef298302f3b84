#include "ops/image_prep.h"

#include <gtest/gtest.h>

#include <cstring>

#include "conformance.h"
#include "pipelines/sam/preprocess.h"

namespace tenon::conformance {
namespace {

struct ImagePrepCase {
  std::string name;
  int64_t height, width, side;
};

sam::SamInfo info_of(int64_t side) {
  sam::SamInfo info;
  info.image_size = side;
  info.pixel_mean = {123.675f, 116.28f, 103.53f};
  info.pixel_deviation = {58.395f, 57.12f, 57.375f};
  return info;
}

Operand three(const std::array<float, 3>& values) {
  Tensor tensor = Tensor::make_from<float>(DType::F32, {3}, values);
  return from_tensor(tensor);
}

Case make_case(const ImagePrepCase& c) {
  Random random(c.name);
  Case result{c.name, ops::to_attributes(ops::ImagePrep{}), {}};
  Tensor picture = Tensor::make(DType::U8, {c.height, c.width, 3});
  // Extremes among them, so that sums reach both ends.
  for (int64_t i = 0; i < picture.count(); ++i)
    picture.as<uint8_t>()[i] = static_cast<uint8_t>(random.below(3) ? random.below(256) : 255);
  sam::SamInfo info = info_of(c.side);
  sam::Size fitted = sam::fitted_size({c.width, c.height}, c.side);
  result.inputs.push_back(from_tensor(picture));
  result.inputs.push_back(from_tensor(sam::make_prep_taps(c.height, fitted.height, c.side)));
  result.inputs.push_back(from_tensor(sam::make_prep_taps(c.width, fitted.width, c.side)));
  result.inputs.push_back(three(info.pixel_mean));
  result.inputs.push_back(three(info.pixel_deviation));
  return result;
}

// The CPU's way in two passes, which equals Pillow's (imaging/resize_test.cc), bit for bit.
std::vector<std::string> compare(const Case& c, std::span<const TensorView> outputs) {
  const TensorView& x = c.inputs[0].view;
  imaging::Image image = imaging::Image::make(x.extents[1], x.extents[0]);
  std::memcpy(image.pixels.data(), x.data, image.pixels.size());
  Tensor expected = sam::make_pixels(image, info_of(outputs[0].extents[0]));
  auto bytes = static_cast<size_t>(expected.view().bytes());
  if (std::memcmp(outputs[0].data, expected.view().data, bytes) == 0) return {};
  return {"other pixels"};
}

TEST(Conformance, ImagePrep) {
  Suite suite{.op = "image_prep", .cases = {}, .bounds = zero_bounds, .check = compare};
  const ImagePrepCase forms[] = {
      {"one", 1, 1, 1},        {"grown", 5, 7, 33},     {"same", 40, 40, 40},
      {"shrunk", 75, 130, 48}, {"high", 211, 31, 64},   {"thin", 1, 300, 32},
      {"much", 400, 700, 16},  {"wide", 100, 150, 300}, {"odd", 333, 257, 129},
  };
  for (const ImagePrepCase& form : forms) suite.cases.push_back(make_case(form));
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
