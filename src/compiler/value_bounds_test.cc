#include "compiler/value_bounds.h"

#include <gtest/gtest.h>

#include <cmath>

#include "compiler/check_run.h"
#include "compiler/import_model.h"
#include "compiler/oracle.h"
#include "compiler/settings.h"
#include "compiler/test_weights.h"
#include "ops/op_list.h"

namespace tenon::compiler {
namespace {

const std::string kModels = TENON_GOLDEN_MODELS;

ir::Graph parsed(const std::string& body) {
  return ir::parse("graph g\ninput %x: f32[tokens, 4] \"x\"\n" + body, ops::builtin_catalogue());
}

double bound_of(const ir::Graph& graph, const WeightSource& weights, std::string_view name) {
  ValueBounds bounds(graph, weights);
  for (size_t i = 0; i < graph.values().size(); ++i) {
    const auto& names = graph.values()[i].names;
    if (!names.empty() && names[0] == name) return bounds.of(static_cast<ir::ValueId>(i));
  }
  ADD_FAILURE() << "no value " << name;
  return 0;
}

TEST(ValueBounds, ANormIsBoundedByItsGain) {
  TestWeights weights;
  weights.add("gain", {4}, {1, -3, 2, 0});
  ir::Graph graph = parsed(
      "const %g: f32[4] \"gain\"\n"
      "%y: f32[tokens, 4] \"y\" = rms_norm(%x, %g, _) {eps: 1.0e-06, dtype: \"\"}\n"
      "output %y\n");
  // One channel can hold all of the norm: sqrt(4) times the largest gain.
  EXPECT_NEAR(bound_of(graph, weights, "y"), 6, 0.1);
  EXPECT_GE(bound_of(graph, weights, "y"), 6);
  EXPECT_TRUE(std::isinf(bound_of(graph, weights, "x")));
}

TEST(ValueBounds, AProductOverANormIsBoundedByItsRows) {
  TestWeights weights;
  weights.add("gain", {4}, {1, 2, 1, 1});
  weights.add("w", {2, 4}, {1, 0, 0, 0, 0, 3, 4, 0});
  weights.add("b", {2}, {100, -1});
  ir::Graph graph = parsed(
      "const %g: f32[4] \"gain\"\nconst %w: f32[2, 4] \"w\"\nconst %b: f32[2] \"b\"\n"
      "%n: f32[tokens, 4] \"n\" = rms_norm(%x, %g, _) {eps: 1.0e-06, dtype: \"\"}\n"
      "%y: f32[tokens, 2] \"y\" = linear(%n, %w, %b, _) {activation: \"\", dtype: \"\"}\n"
      "%z: f32[tokens, 2] \"z\" = linear(%n, %w, _, _) {activation: \"relu\", dtype: \"\"}\n"
      "%f: f32[tokens, 2] \"f\" = linear(%x, %w, _, _) {activation: \"\", dtype: \"\"}\n"
      "output %y\noutput %z\noutput %f\n");
  // Row 1: sqrt(4) * |(3 * 2, 4)| = 14.4; row 0: 2 + 100.
  EXPECT_NEAR(bound_of(graph, weights, "y"), 102, 2);
  EXPECT_GE(bound_of(graph, weights, "y"), 102);
  EXPECT_NEAR(bound_of(graph, weights, "z"), 2 * std::sqrt(52.0), 0.4);
  EXPECT_TRUE(std::isinf(bound_of(graph, weights, "f")));  // x itself has no bound
}

TEST(ValueBounds, ANonFiniteWeightProvesNothing) {
  for (float bad : {static_cast<float>(INFINITY), static_cast<float>(NAN)}) {
    TestWeights weights;
    weights.add("gain", {4}, {1, 1, 1, 1});
    weights.add("w", {1, 4}, {1, bad, 0, 0});
    ir::Graph graph = parsed(
        "const %g: f32[4] \"gain\"\nconst %w: f32[1, 4] \"w\"\n"
        "%n: f32[tokens, 4] \"n\" = rms_norm(%x, %g, _) {eps: 1.0e-06, dtype: \"\"}\n"
        "%y: f32[tokens, 1] \"y\" = linear(%n, %w, _, _) {activation: \"\", dtype: \"\"}\n"
        "output %y\n");
    EXPECT_TRUE(std::isinf(bound_of(graph, weights, "y")));
    EXPECT_TRUE(
        std::isinf(measure_half_weight(Recipe::source(*weights.find("w")), weights).largest));
  }
}

TEST(ValueBounds, RoundingAWeightToHalfIsMeasured) {
  TestWeights weights;
  weights.add("exact", {1, 4}, {1, -2, 0.5, 1024});
  weights.add("small", {1, 4}, {1e-9f, 2e-9f, -3e-9f, 4e-9f});  // below f16's smallest number
  weights.add("large", {1, 4}, {1, 2, 3, 1e5f});
  auto measure = [&](const char* name) {
    return measure_half_weight(Recipe::source(*weights.find(name)), weights);
  };
  EXPECT_EQ(measure("exact").relative_error, 0);
  EXPECT_EQ(measure("exact").largest, 1024);
  EXPECT_NEAR(measure("small").relative_error, 1, 1e-3);
  EXPECT_EQ(measure("large").largest, 1e5f);
}

// The proof against what really happens: no value of a run is above its bound.
TEST(ValueBounds, HoldForEveryValueOfGoldenModels) {
  for (const char* name : {"llama/base", "llama/gqa", "gpt2/base", "llama/bias"}) {
    ImportedModel model = import_model(kModels + name);
    const ir::Graph& graph = model.model.stages[0];
    ValueBounds bounds(graph, *model.weights);
    LoweredPlan oracle;
    BuildOptions options;
    BuildSettings settings = settle(options, model);
    lower_stage(graph, stage_symbols(graph, settings, models::BuiltModel{}), oracle);
    OracleRun run =
        run_oracle(oracle, *model.weights, built_in_check_data(model, settings.max_seq_len));
    std::map<std::string, double> largest;
    for (const TensorRange& range : run.ranges) largest[range.name] = range.largest;
    int bounded = 0;
    for (size_t i = 0; i < graph.values().size(); ++i) {
      const ir::Value& value = graph.values()[i];
      if (value.kind != ir::ValueKind::Intermediate || value.names.empty()) continue;
      double bound = bounds.of(static_cast<ir::ValueId>(i));
      bounded += std::isfinite(bound);
      ASSERT_TRUE(largest.count(value.names[0])) << value.names[0];
      EXPECT_LE(largest[value.names[0]], bound) << name << " " << value.names[0];
    }
    EXPECT_GT(bounded, 8) << name;
    for (ir::ValueId state : graph.states()) EXPECT_TRUE(std::isfinite(bounds.of_state(state)));
  }
}

}  // namespace
}  // namespace tenon::compiler
