#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "base/error.h"
#include "compiler/build.h"
#include "compiler/decoder_batch.h"
#include "ops/kv_cache.h"
#include "ops/quantised_linear.h"
#include "plan/plan_file.h"
#include "prove/llm_bench.h"
#include "prove/profile.h"
#include "prove/quantiles.h"

namespace tenon::prove {
namespace {

TEST(Quantiles, AreTimesThatWereMeasured) {
  std::vector<double> seconds;
  for (int i = 100; i >= 1; --i) seconds.push_back(i);
  Quantiles quantiles = quantiles_of(seconds);
  EXPECT_EQ(quantiles.count, 100);
  EXPECT_DOUBLE_EQ(quantiles.mean, 50.5);
  EXPECT_EQ(quantiles.p50, 50);
  EXPECT_EQ(quantiles.p90, 90);
  EXPECT_EQ(quantiles.p99, 99);
  EXPECT_EQ(quantiles.least, 1);
  EXPECT_EQ(quantiles.most, 100);
  EXPECT_EQ(quantiles_of({}).count, 0);
}

// A step of 10 bytes and 4 FLOP: at 5 B/s and 1 FLOP/s arithmetic takes longer.
TEST(Ceilings, OnlyRise) {
  Ceilings ceilings;
  ceilings.bytes_per_second = 5, ceilings.flops = 7, ceilings.flops_how = "a";
  Ceilings again;
  again.bytes_per_second = 4, again.flops = 8, again.flops_how = "b";
  raise(ceilings, again);
  EXPECT_EQ(ceilings.bytes_per_second, 5);
  EXPECT_EQ(ceilings.flops, 8);
  EXPECT_EQ(ceilings.flops_how, "b");
}

TEST(StepCost, TheSlowerCeilingCounts) {
  Ceilings ceilings;
  ceilings.bytes_per_second = 5;
  ceilings.flops = 1;
  EXPECT_DOUBLE_EQ((StepCost{10, 4}).least_seconds(ceilings), 4);
  EXPECT_DOUBLE_EQ((StepCost{30, 4}).least_seconds(ceilings), 6);
}

TEST(StepCost, ProductsOfCodesHaveTheirOwnCeiling) {
  Ceilings ceilings;
  ceilings.bytes_per_second = 1e9;
  ceilings.flops = 2;
  StepCost cost{.bytes = 1, .flops = 40, .int8_operations = 32};
  EXPECT_DOUBLE_EQ(cost.least_seconds(ceilings), 20);
  ceilings.int8_operations = 8;
  EXPECT_DOUBLE_EQ(cost.least_seconds(ceilings), 4 + 4);
  EXPECT_EQ(arithmetic_text(ceilings), "2 FLOP/s (), 8 op/s of 8-bit codes");
  EXPECT_EQ(to_json(ceilings).get_double("int8_operations_per_second", 0), 8);
}

plan::ValueInfo value(Shape shape, plan::ValueRole role, DType dtype = DType::F32) {
  plan::ValueInfo info;
  info.role = role;
  info.type.dtype = dtype;
  info.type.shape = std::move(shape);
  return info;
}

// x [tokens, 8] . w [4, 8] -> y [tokens, 4]; attention over a bf16 cache of 2 heads of 4, window 3.
plan::Stage small_stage() {
  plan::Stage stage;
  Dim tokens = Dim::symbol("tokens");
  stage.values = {value({tokens, 8}, plan::ValueRole::Input),
                  value({4, 8}, plan::ValueRole::Constant, DType::BF16),
                  value({tokens, 4}, plan::ValueRole::Intermediate),
                  value({Dim::symbol("cache_blocks"), 2, 2, Dim::symbol("block_size"), 4},
                        plan::ValueRole::State, DType::BF16),
                  value({tokens, 16}, plan::ValueRole::Intermediate)};
  plan::Step linear, attention;
  linear.op = "linear";
  linear.inputs = {0, 1, -1, -1};
  linear.outputs = {2};
  attention.op = "paged_attention";
  ops::PagedAttention attributes;
  attributes.heads = 4;
  attributes.kv_heads = 2;
  attributes.head_dim = 4;
  attributes.window = 3;
  attention.attributes = ops::to_attributes(attributes);
  attention.inputs = {4, 3};
  attention.outputs = {4};
  stage.steps = {linear, attention};
  return stage;
}

TEST(StepCost, HandWorkedSteps) {
  plan::Stage stage = small_stage();
  // Two sequences, 5 new tokens each, 6 positions seen.
  SymbolValues symbols = {{"tokens", 10}, {"cache_blocks", 2}, {"block_size", 16}};
  std::vector<StepCost> costs =
      step_costs(stage, symbols, {.seqs = 2, .tokens_each = 5, .context = 6});
  ASSERT_EQ(costs.size(), 2u);
  EXPECT_EQ(costs[0].bytes, 10 * 8 * 4 + 4 * 8 * 2 + 10 * 4 * 4);
  EXPECT_EQ(costs[0].flops, 2 * 10 * 4 * 8 + 10 * 4);
  // Tokens at positions 2 to 6 see 2, 3, 3, 3, 3 of them; the cache is read once.
  EXPECT_EQ(costs[1].flops, 10 * 16 + 2.0 * 4 * 16 * (2 + 3 + 3 + 3 + 3));
  EXPECT_EQ(costs[1].bytes, 2 * 10 * 16 * 4 + 2 * 6 * (2 * 2 * 4 * 2));
}

TEST(StepCost, OnlyRoundedRowsMultiplyCodes) {
  for (const char* codes : {"", "i8"}) {
    plan::Stage stage;
    ops::QuantisedLinear op;
    op.out = 32, op.in = 64, op.x_codes = codes;
    plan::Step step;
    step.op = ops::QuantisedLinear::kName;
    step.attributes = ops::to_attributes(op);
    step.inputs = {0}, step.outputs = {1};
    Dim tokens = Dim::symbol("tokens");
    stage.values = {value({tokens, 64}, plan::ValueRole::Input),
                    value({tokens, 32}, plan::ValueRole::Intermediate)};
    stage.steps = {step};
    StepCost cost = step_costs(stage, {{"tokens", 3}}, {})[0];
    EXPECT_EQ(cost.flops, 3 * 32 + 2 * 3 * 32 * 64);
    EXPECT_EQ(cost.int8_operations, *codes ? 2 * 3 * 32 * 64 : 0);
    EXPECT_EQ(multiplies_codes(stage), *codes != 0);
  }
}

PhaseProfile small_phase() {
  PhaseProfile phase;
  phase.name = "token";
  auto add = [&](const char* op, const char* module, double seconds, double least) {
    ProfiledStep step{.step = phase.steps.size(), .op = op, .module = module};
    step.seconds = seconds;
    step.least_seconds = least;
    step.cost = {100, 10};
    phase.seconds += seconds;
    phase.steps.push_back(step);
  };
  add("embedding", "model.embed_tokens", 1, 1);
  add("linear", "model.layers.0.mlp.down_proj", 4, 3);
  add("glu", "model.layers.0.mlp", 2, 0.5);
  add("linear", "model.layers.1.mlp.down_proj", 3, 3);
  return phase;
}

TEST(Profile, GroupsByKindAndLayer) {
  std::vector<ProfileGroup> kinds = group_by_kind(small_phase());
  ASSERT_EQ(kinds.size(), 3u);
  EXPECT_EQ(kinds[0].name, "linear");
  EXPECT_EQ(kinds[0].steps, 2);
  EXPECT_EQ(kinds[0].seconds, 7);
  EXPECT_EQ(kinds[0].bytes, 200);
  std::vector<ProfileGroup> layers = group_by_layer(small_phase());
  ASSERT_EQ(layers.size(), 3u);
  EXPECT_EQ(layers[0].name, "model.embed_tokens");
  EXPECT_EQ(layers[1].name, "model.layers.0");
  EXPECT_EQ(layers[1].seconds, 6);
  EXPECT_EQ(layers[2].name, "model.layers.1");
}

TEST(Profile, ForecastsThePerfectKernel) {
  std::vector<Forecast> list = forecast(small_phase());
  ASSERT_EQ(list.size(), 3u);
  // glu: 1.5 of 10 seconds; linear: 1 of 10; the embedding is perfect.
  EXPECT_EQ(list[0].kind, "glu");
  EXPECT_DOUBLE_EQ(list[0].best_gain, 0.15);
  EXPECT_DOUBLE_EQ(list[0].of_roofline, 0.25);
  EXPECT_DOUBLE_EQ(list[1].best_gain, 0.1);
  EXPECT_DOUBLE_EQ(list[1].share, 0.7);
  EXPECT_DOUBLE_EQ(list[2].best_gain, 0);
}

TEST(Profile, TraceStandsEndToEnd) {
  Profile profile;
  profile.phases = {small_phase()};
  data::Json trace = to_trace(profile);
  const auto& events = trace.at("traceEvents", "$").as_array("$");
  ASSERT_EQ(events.size(), 6u);
  EXPECT_EQ(events[3].get_string("cat", ""), "linear");
  EXPECT_EQ(events[3].get_double("ts", 0), 1e6);
  EXPECT_EQ(events[4].get_double("ts", 0), 5e6);
}

class SpeedOfAPlan : public ::testing::Test {
 protected:
  SpeedOfAPlan() {
    char pattern[] = "/tmp/tenon-speed-test-XXXXXX";
    folder_ = mkdtemp(pattern);
    compiler::BuildOptions options;
    options.model = std::string(TENON_SOURCE_DIR) + "/miniatures/llama";
    options.output = plan_ = folder_ + "/llama.plan";
    options.gate = false;
    compiler::build(options, quiet_);
  }
  ~SpeedOfAPlan() override { std::filesystem::remove_all(folder_); }
  std::string folder_, plan_;
  StderrProgress quiet_{ProgressStyle::Quiet};
};

TEST_F(SpeedOfAPlan, CostsOfATokenAreTheWeights) {
  auto file = plan::PlanFile::open(plan_);
  double weights = 0, linear_bytes = 0, linear_flops = 0;
  for (const plan::Constant& constant : file->plan().constants) {
    if (constant.extents.rank() == 2) weights += static_cast<double>(constant.bytes);
  }
  const plan::Stage& stage = plan::find_stage(file->plan(), "decoder");
  SymbolValues symbols = compiler::symbols_of({.seqs = 1, .tokens_each = 1, .context = 64});
  std::vector<StepCost> costs = step_costs(stage, symbols, {.context = 64});
  for (size_t i = 0; i < costs.size(); ++i) {
    if (stage.steps[i].op != "linear") continue;
    linear_bytes += costs[i].bytes;
    linear_flops += costs[i].flops;
  }
  double table = 1024.0 * 128 * 2;  // the embedding: one row of it is read
  EXPECT_GT(linear_bytes, weights - table);
  EXPECT_LT(linear_bytes, (weights - table) * 1.03);
  // bf16: two FLOP for each weight of two bytes.
  EXPECT_NEAR(linear_flops / (weights - table), 1, 0.02);
}

TEST_F(SpeedOfAPlan, ProfileTimesEveryStep) {
  ProfileOptions options{.plan = plan_, .device = {}};
  options.repeats = 2;
  options.prompt_tokens = 8;
  Profile measured = profile(options, quiet_);
  ASSERT_EQ(measured.phases.size(), 2u);
  for (const PhaseProfile& phase : measured.phases) {
    for (const ProfiledStep& step : phase.steps) {
      EXPECT_GT(step.seconds, 0) << step.module;
      EXPECT_GT(step.least_seconds, 0) << step.module;
      EXPECT_FALSE(step.implementation.empty()) << step.module;
    }
    EXPECT_GT(phase.run_seconds, 0);
  }
  options.batch = 1000;
  EXPECT_THROW(profile(options, quiet_), Error);
}

TEST_F(SpeedOfAPlan, BenchCountsEveryToken) {
  BenchOptions options;
  options.plan = plan_;
  options.batches = {2};
  options.prompt_tokens = {8};
  options.new_tokens = {4};
  options.repeats = 3;
  BenchResult result = bench(options, quiet_);
  ASSERT_EQ(result.rows.size(), 1u);
  const BenchRow& row = result.rows[0];
  EXPECT_EQ(row.first_token.count, 6);
  EXPECT_EQ(row.per_token.count, 18);
  EXPECT_EQ(row.total.count, 6);
  EXPECT_GT(row.tokens_per_second, 0);
  EXPECT_GE(row.total.most, row.first_token.most);
  options.new_tokens = {0};
  EXPECT_THROW(bench(options, quiet_), Error);
}

}  // namespace
}  // namespace tenon::prove
