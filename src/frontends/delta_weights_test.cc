#include "frontends/delta_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontends/safetensors/safetensors_test_files.h"
#include "frontends/safetensors/safetensors_writer.h"
#include "tensor/float_formats.h"
#include "tensor/recipe.h"

namespace tenon::frontends {
namespace {

using testing::HasSubstr;

struct Made {
  std::string name;
  DType dtype;
  Extents extents;
  float first;  // values are first, first + 1, ...
};

Checkpoint checkpoint(const TestFolder& folder, const std::string& file,
                      const std::vector<Made>& list) {
  std::vector<Tensor> tensors;
  std::vector<NamedTensor> named;
  for (const Made& made : list) {
    Tensor values = Tensor::make(DType::F32, made.extents);
    for (int64_t i = 0; i < values.count(); ++i)
      values.as<float>()[i] = made.first + static_cast<float>(i);
    tensors.push_back(Tensor::make_zeros(made.dtype, made.extents));
    if (is_float(made.dtype)) copy_convert(values, tensors.back());
  }
  for (size_t i = 0; i < list.size(); ++i) named.push_back({list[i].name, tensors[i].view()});
  write_safetensors(folder.file(file), named);
  return open_checkpoint(folder.file(file));
}

std::vector<float> values(const Checkpoint& made, const std::string& name) {
  Tensor result = make_f32(made.weights->recipe_of(name)->evaluate(*made.weights));
  return {result.as<float>(), result.as<float>() + result.count()};
}

TEST(DeltaWeights, AddsInTheTypeOfTheDelta) {
  TestFolder folder;
  Checkpoint base = checkpoint(folder, "base.safetensors",
                               {{"w", DType::F32, {2, 2}, 2048.25f}, {"n", DType::F16, {2}, 1}});
  Checkpoint delta = checkpoint(folder, "delta.safetensors",
                                {{"w", DType::F16, {2, 2}, 1}, {"n", DType::F16, {2}, 0.5f}});
  Checkpoint made = apply_delta(base, delta);
  EXPECT_EQ(made.weights->find("w")->dtype, DType::F16);
  // The base in f16 is 2048, 2050, 2050, 2052; 2049 and 2053 are ties and go to even.
  EXPECT_EQ(values(made, "w"), (std::vector<float>{2048, 2052, 2052, 2056}));
  EXPECT_EQ(values(made, "n"), (std::vector<float>{1.5f, 3.5f}));
  EXPECT_EQ(made.files.size(), 2u);
}

TEST(DeltaWeights, RowsOfAddedTokensAreTheDeltasAlone) {
  TestFolder folder;
  Checkpoint base = checkpoint(folder, "base.safetensors",
                               {{"model.embed_tokens.weight", DType::F16, {2, 2}, 10}});
  Checkpoint delta = checkpoint(folder, "delta.safetensors",
                                {{"model.embed_tokens.weight", DType::F16, {3, 2}, 1}});
  EXPECT_EQ(values(apply_delta(base, delta), "model.embed_tokens.weight"),
            (std::vector<float>{11, 13, 15, 17, 5, 6}));
}

TEST(DeltaWeights, EveryMisfitIsNamed) {
  TestFolder folder;
  Checkpoint base = checkpoint(folder, "base.safetensors",
                               {{"a", DType::F16, {2, 2}, 0},
                                {"only_base", DType::F16, {1}, 0},
                                {"i", DType::I32, {1}, 0},
                                {"x.rotary_emb.inv_freq", DType::F32, {1}, 0}});
  Checkpoint delta = checkpoint(folder, "delta.safetensors",
                                {{"a", DType::F16, {3, 2}, 0},
                                 {"only_delta", DType::F16, {1}, 0},
                                 {"i", DType::I32, {1}, 0}});
  try {
    apply_delta(base, delta);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadInput);
    EXPECT_THAT(error.what(), HasSubstr("4 problems"));
    EXPECT_THAT(error.what(), HasSubstr("tensor a: base and delta have different shapes"));
    EXPECT_THAT(error.what(), HasSubstr("tensor i: types cannot be summed"));
    EXPECT_THAT(error.what(), HasSubstr("only_delta"));
    EXPECT_THAT(error.what(), HasSubstr("only_base"));
  }
}

}  // namespace
}  // namespace tenon::frontends
