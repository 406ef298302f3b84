#include "tensor/formats/quantised_weight.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/error.h"
#include "tensor/recipe.h"

namespace tenon {
namespace {

QuantSpec spec_of(DType codes, int64_t group, bool zeros, DType scales = DType::F32) {
  QuantSpec spec;
  spec.codes = codes;
  spec.scales = scales;
  spec.group = group;
  spec.zero_points = zeros;
  return spec;
}

Tensor random_weight(int64_t out, int64_t in, float offset = 0) {
  std::mt19937 engine(7);
  std::normal_distribution<float> normal(offset, 1);
  Tensor weight = Tensor::make(DType::F32, {out, in});
  for (int64_t i = 0; i < out * in; ++i) weight.as<float>()[i] = normal(engine);
  return weight;
}

TEST(QuantisedWeight, SizesArePaddedToPanelsUnitsAndGroups) {
  EXPECT_EQ(code_extents(spec_of(DType::U8, 0, false), 33, 33), (Extents{2, 16, 32, 4}));
  EXPECT_EQ(scale_extents(spec_of(DType::U8, 0, false), 33, 33), (Extents{2, 1, 32}));
  EXPECT_EQ(code_extents(spec_of(DType::U4, 128, false), 1, 129), (Extents{1, 32, 32, 4, 2}));
  EXPECT_EQ(scale_extents(spec_of(DType::U4, 128, false), 1, 129), (Extents{1, 2, 32}));
}

TEST(QuantisedWeight, RefusesWhatItDoesNotKnow) {
  EXPECT_THROW(panel_sizes(spec_of(DType::U4, 48, false), 8, 96), Error);
  EXPECT_THROW(panel_sizes(spec_of(DType::I8, 0, false), 8, 96), Error);
  EXPECT_THROW(panel_sizes(spec_of(DType::U8, 0, false, DType::BF16), 8, 96), Error);
  EXPECT_THROW(panel_sizes(spec_of(DType::U8, 0, false), 0, 96), Error);
  EXPECT_THROW(panel_sizes(spec_of(DType::U8, 0, false), 8, INT64_MAX), Error);
  QuantSpec permuted = spec_of(DType::U8, 0, false);
  permuted.permuted = true;
  EXPECT_THROW(panel_sizes(permuted, 8, 96), Error);
}

// No element is further than half a step from its code, and the extremes are met.
TEST(QuantisedWeight, RoundsEachElementToTheNearestCode) {
  constexpr int64_t kOut = 37, kIn = 131;
  for (const QuantSpec& spec :
       {spec_of(DType::U8, 0, false), spec_of(DType::U8, 0, true), spec_of(DType::U8, 64, false),
        spec_of(DType::U4, 32, false), spec_of(DType::U4, 64, true), spec_of(DType::U4, 128, false),
        spec_of(DType::U4, 0, true)}) {
    Tensor weight = random_weight(kOut, kIn, spec.zero_points ? 2.0f : 0.0f);
    OwnedQuantisedWeight quantised = round_to_nearest(weight, spec);
    PanelSizes sizes = panel_sizes(spec, kOut, kIn);
    for (int64_t row = 0; row < kOut; ++row) {
      for (int64_t i = 0; i < kIn; ++i) {
        double step = std::fabs(quantised.view().scale(sizes, row, i));
        double error = quantised.view().value(sizes, row, i) - weight.as<float>()[row * kIn + i];
        // Four signed bits reach 8 steps to one side and 7 to the other.
        bool lopsided = spec.codes == DType::U4 && !spec.zero_points;
        // A zero that was rounded moves the range by up to half a step.
        double most = lopsided || spec.zero_points ? 1.0 : 0.5;
        ASSERT_LE(std::fabs(error), most * step * 1.00001) << to_string(spec) << row << "," << i;
      }
    }
    QuantisationError error = measure_error(weight, spec, quantised.view());
    EXPECT_LT(error.relative_norm, spec.codes == DType::U8 ? 0.011 : 0.12) << to_string(spec);
    EXPECT_GT(error.relative_norm, 0);
  }
}

TEST(QuantisedWeight, KnownCodes) {
  float row[] = {-1.0f, 0.5f, 0.0f, 127.0f / 128, 0.875f, 0.25f};
  Tensor weight = Tensor::make_from<float>(DType::F32, {1, 6}, row);
  QuantSpec eight = spec_of(DType::U8, 0, false), four = spec_of(DType::U4, 32, false, DType::F16);
  OwnedQuantisedWeight a = round_to_nearest(weight, eight), b = round_to_nearest(weight, four);
  int eights[] = {1, 192, 128, 254, 239, 160}, fours[] = {0, 12, 8, 15, 15, 10};
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(a.view().code(panel_sizes(eight, 1, 6), 0, i), eights[i]) << i;
    EXPECT_EQ(b.view().code(panel_sizes(four, 1, 6), 0, i), fours[i]) << i;
  }
  // The bytes as the header says: inputs 0 and 4 share a byte, the first one low.
  EXPECT_EQ(b.codes.as<uint8_t>()[0], 0 | 15 << 4);
  EXPECT_EQ(b.codes.as<uint8_t>()[1], 12 | 10 << 4);
}

TEST(QuantisedWeight, ZeroIsExactAndRowsOfZerosHaveScaleZero) {
  for (bool zeros : {false, true}) {
    Tensor weight = Tensor::make_zeros(DType::BF16, {3, 40});
    OwnedQuantisedWeight quantised = round_to_nearest(weight, spec_of(DType::U4, 32, zeros));
    PanelSizes sizes = panel_sizes(spec_of(DType::U4, 32, zeros), 3, 40);
    for (int64_t i = 0; i < 40; ++i) EXPECT_EQ(quantised.view().value(sizes, 2, i), 0);
  }
}

TEST(QuantisedWeight, RefusesWeightsWithoutAScale) {
  for (float bad : {std::numeric_limits<float>::quiet_NaN(), INFINITY, -INFINITY}) {
    Tensor weight = random_weight(2, 8);
    weight.as<float>()[11] = bad;
    EXPECT_THROW(round_to_nearest(weight, spec_of(DType::U8, 0, false)), Error);
    EXPECT_THROW(round_to_nearest(weight, spec_of(DType::U4, 32, true)), Error);
  }
  Tensor large = random_weight(2, 8);
  large.as<float>()[3] = 1e7f;  // a scale of 1.25e6 is beyond f16
  EXPECT_THROW(round_to_nearest(large, spec_of(DType::U4, 32, false, DType::F16)), Error);
  EXPECT_NO_THROW(round_to_nearest(large, spec_of(DType::U4, 32, false)));
  large.as<float>()[3] = 3e38f;
  large.as<float>()[4] = -3e38f;
  EXPECT_NO_THROW(round_to_nearest(large, spec_of(DType::U8, 0, true)));
}

TEST(QuantisedWeight, ARecipeGivesEachPart) {
  auto weight = std::make_shared<const Tensor>(random_weight(5, 40));
  QuantSpec spec = spec_of(DType::U4, 32, true, DType::F16);
  OwnedQuantisedWeight expected = round_to_nearest(*weight, spec);
  class Nothing : public WeightSource {
    const std::vector<WeightInfo>& weights() const override { return none_; }
    const WeightInfo* find(std::string_view) const override { return nullptr; }
    TensorView view(std::string_view) const override { return {}; }
    std::vector<WeightInfo> none_;
  } nothing;
  for (QuantPart part : {QuantPart::Codes, QuantPart::Scales, QuantPart::Zeros}) {
    const Tensor& wanted = part == QuantPart::Codes    ? expected.codes
                           : part == QuantPart::Scales ? expected.scales
                                                       : expected.zeros;
    Recipe recipe = Recipe::quantise(Recipe::literal(weight), spec, part);
    Tensor got = recipe.evaluate(nothing);
    ASSERT_EQ(got.extents(), wanted.extents());
    EXPECT_EQ(got.dtype(), wanted.dtype());
    EXPECT_EQ(std::memcmp(got.as<char>(), wanted.as<char>(), got.view().bytes()), 0);
    EXPECT_NE(recipe.to_string().find("u4 scale f16 axis 0 group 32 zero_points"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace tenon
