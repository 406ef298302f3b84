#include <gtest/gtest.h>

#include "nn/layers.h"
#include "ops/op_list.h"

namespace tenon::nn {
namespace {

class FakeSource : public WeightSource {
 public:
  explicit FakeSource(std::vector<WeightInfo> infos) : infos_(std::move(infos)) {}
  const std::vector<WeightInfo>& weights() const override { return infos_; }
  const WeightInfo* find(std::string_view name) const override {
    for (const WeightInfo& info : infos_) {
      if (info.name == name) return &info;
    }
    return nullptr;
  }
  TensorView view(std::string_view) const override { return {}; }

 private:
  std::vector<WeightInfo> infos_;
};

TEST(Weights, ReportsEveryProblemAtOnceWithNearestNames) {
  FakeSource source({{"fc.weight", DType::F32, {3, 2}},
                     {"fc.bais", DType::F32, {3}},
                     {"extra", DType::F32, {1}}});
  Weights weights(source);
  ir::Graph graph("g", ops::builtin_catalogue());
  ValueId x = graph.add_input("x", {DType::F32, {Dim::symbol("n"), 2}, {}});
  linear(Scope(graph, weights) / "fc", x, {.in = 2, .out = 4, .bias = true});
  EXPECT_EQ(weights.ledger().count(WeightState::Unused), 2u);
  try {
    weights.finish();
    FAIL();
  } catch (const Error& error) {
    std::string text = error.what();
    EXPECT_NE(text.find("2 problems"), std::string::npos) << text;
    EXPECT_NE(text.find("wanted [4, 2], found [3, 2]"), std::string::npos) << text;
    EXPECT_NE(text.find("nearest: fc.bais"), std::string::npos) << text;
  }
}

std::string problem_of(std::vector<WeightInfo> infos) {
  FakeSource source(std::move(infos));
  Weights weights(source);
  weights.need("fc.weight", {4, 2});
  weights.need("fc.bias", {4});
  try {
    weights.finish();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Weights, SaysWhatWrappedTheModelOrWhichTypesAreRead) {
  std::string wrapped =
      problem_of({{"module.fc.weight", DType::F32, {4, 2}}, {"module.fc.bias", DType::F32, {4}}});
  EXPECT_NE(wrapped.find("under \"module.\""), wrapped.npos) << wrapped;
  // Not all of them: nothing was wrapped.
  std::string some = problem_of({{"module.fc.weight", DType::F32, {4, 2}}});
  EXPECT_EQ(some.find("module.\","), some.npos) << some;
  std::string wide = problem_of({{"fc.weight", DType::F64, {4, 2}}, {"fc.bias", DType::F64, {4}}});
  EXPECT_NE(wide.find("fix: save the model in f32, f16 or bf16"), wide.npos) << wide;
  EXPECT_EQ(problem_of({{"fc.weight", DType::F32, {4, 2}}, {"fc.bias", DType::BF16, {4}}}), "");
}

TEST(Layers, Conv1dIsTransposedByItsRecipe) {
  FakeSource source({{"c_fc.weight", DType::BF16, {2, 4}}});
  Weights weights(source);
  ir::Graph graph("g", ops::builtin_catalogue());
  ValueId x = graph.add_input("x", {DType::F32, {Dim::symbol("n"), 2}, {}});
  ValueId y = linear(Scope(graph, weights) / "c_fc", x, {.in = 2, .out = 4, .stored_in_out = true});
  weights.finish();
  ir::verify(graph);
  EXPECT_EQ(to_string(graph.value(y).type), "f32[n, 4]");
  EXPECT_EQ(graph.value(graph.node(0).inputs[1]).recipe->to_string(),
            "permute(c_fc.weight; [1, 0])");
}

}  // namespace
}  // namespace tenon::nn
