#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "tensor/dim.h"
#include "tensor/float_formats.h"
#include "tensor/recipe.h"

namespace tenon {
namespace {

TEST(Dim, FoldsPrintsAndParses) {
  Dim tokens = Dim::symbol("tokens");
  Dim padded = ceil_div(tokens + 3, 16) * 16;
  EXPECT_EQ(padded.to_string(), "(ceil_div((tokens + 3), 16) * 16)");
  EXPECT_EQ(Dim::parse(padded.to_string()), padded);
  EXPECT_EQ(padded.evaluate({{"tokens", 14}}), 32);
  EXPECT_EQ(Dim(3) * 4 + 1, Dim(13));
  EXPECT_EQ(tokens * 1 + 0, tokens);
  EXPECT_THROW(padded.evaluate({}), Error);
  for (const char* text : {"(tokens + ", "-", "9999999999999999999", "", "1 2", "(a ? b)"}) {
    EXPECT_THROW(Dim::parse(text), Error) << text;
  }
  EXPECT_THROW((Dim(INT64_MAX) + 1), Error);
}

TEST(FloatFormats, HalfRoundTripsEveryPattern) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    f16_t half{static_cast<uint16_t>(bits)};
    float value = to_float(half);
    if (std::isnan(value)) continue;
    ASSERT_EQ(to_f16(value).bits, half.bits) << bits;
    ASSERT_FLOAT_EQ(value, static_cast<float>(std::bit_cast<_Float16>(half)));
  }
  EXPECT_EQ(to_f16(65519.99f).bits, 0x7BFF);
  EXPECT_EQ(to_f16(65520.0f).bits, 0x7C00);
  EXPECT_EQ(to_bf16(1.0f + 1.0f / 256).bits, to_bf16(1.0f).bits);  // tie to even
}

class MapSource : public WeightSource {
 public:
  void add(std::string name, Tensor tensor) {
    infos_.push_back({name, tensor.dtype(), tensor.extents()});
    tensors_[name] = std::move(tensor);
  }
  const std::vector<WeightInfo>& weights() const override { return infos_; }
  const WeightInfo* find(std::string_view name) const override {
    for (const auto& info : infos_) {
      if (info.name == name) return &info;
    }
    return nullptr;
  }
  TensorView view(std::string_view name) const override {
    return tensors_.at(std::string(name)).view();
  }

 private:
  std::vector<WeightInfo> infos_;
  std::map<std::string, Tensor> tensors_;
};

TEST(Recipe, ConcatTransposeCastEqualsByHand) {
  MapSource source;
  float a[] = {1, 2, 3, 4, 5, 6}, b[] = {7, 8};
  source.add("a", Tensor::make_from<float>(DType::F32, {2, 3}, a));
  source.add("b", Tensor::make_from<float>(DType::F32, {2, 1}, b));
  Recipe both =
      Recipe::concat({Recipe::source(*source.find("a")), Recipe::source(*source.find("b"))}, 1);
  Recipe recipe = Recipe::cast(Recipe::transpose(both), DType::BF16);
  EXPECT_EQ(recipe.to_string(), "cast(permute(concat(a, b; axis 1); [1, 0]); bf16)");
  Tensor result = recipe.evaluate(source);
  float expected[] = {1, 4, 2, 5, 3, 6, 7, 8};
  for (int i = 0; i < 8; ++i) EXPECT_EQ(to_float(result.as<bf16_t>()[i]), expected[i]);
  EXPECT_EQ(recipe.source_names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(recipe.view(source).has_value());
  EXPECT_TRUE(Recipe::slice(Recipe::source(*source.find("a")), 1, 1, 2).view(source).has_value());
}

TEST(Recipe, AddRoundsOnceInItsOwnType) {
  MapSource source;
  // 2048 + 1 is a tie in f16 and goes to even; 2048 + 3 is a tie and goes up.
  source.add("a",
             Tensor::make_from<float>(DType::F32, {2, 2}, std::vector<float>{2048, 2048, 1, 2}));
  source.add("b", Tensor::make_from<float>(DType::F32, {2, 2}, std::vector<float>{1, 3, 0.5f, -2}));
  auto half = [&](const char* name) {
    return Recipe::cast(Recipe::source(*source.find(name)), DType::F16);
  };
  Recipe sum = Recipe::add(half("a"), half("b"));
  EXPECT_EQ(sum.to_string(), "add(cast(a; f16), cast(b; f16))");
  EXPECT_EQ(sum.dtype(), DType::F16);
  EXPECT_EQ(sum.prefixed("x/").to_string(), "add(cast(x/a; f16), cast(x/b; f16))");
  // Widened behind the sum, the rounding must show.
  Tensor result = Recipe::cast(Recipe::transpose(sum), DType::F32).evaluate(source);
  std::vector<float> values(result.as<float>(), result.as<float>() + 4);
  EXPECT_EQ(values, (std::vector<float>{2048, 1.5f, 2052, 0}));
}

}  // namespace
}  // namespace tenon
