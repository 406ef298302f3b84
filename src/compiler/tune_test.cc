#include "compiler/tune.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "base/error.h"
#include "base/file.h"
#include "compiler/build.h"
#include "compiler/tune_gate.h"
#include "compiler/wide_plan.h"
#include "runtime/session.h"
#include "runtime/step_signature.h"

namespace tenon::compiler {
namespace {

namespace fs = std::filesystem;

const std::string kModel = std::string(TENON_GOLDEN_MODELS) + "llama/gqa";

class Tune : public ::testing::Test {
 protected:
  Tune() {
    char pattern[] = "/tmp/tenon-tune-test-XXXXXX";
    folder_ = mkdtemp(pattern);
    plan_ = folder_ + "/model.plan";
    BuildOptions options;
    options.model = kModel;
    options.output = plan_;
    options.dtype = "bf16";
    build(options, quiet_);
  }
  ~Tune() override { fs::remove_all(folder_); }

  TuneOptions options() {
    TuneOptions result;
    result.plan = plan_;
    result.batches = {1, 2};
    result.prompts = {8};
    result.context = 32;
    result.rounds = 1;
    // Every difference counts: this is about what happens with tactics, not about speed.
    result.least_gain = -1;
    return result;
  }
  std::unique_ptr<runtime::Session> open() {
    return runtime::Session::open(plan::PlanFile::open(plan_));
  }
  void write(const plan::TacticsFile& file) {
    std::ofstream(plan::tactics_path(plan_)) << plan::to_text(file);
  }
  // A tactic that takes the step from its standard implementation to the next one that can.
  plan::TacticsFile forged(const std::string& implementation) {
    auto session = open();
    runtime::StageRunner& decoder = session->stage("decoder");
    DecoderShape shape{1, 1, 32};
    decoder.allocate_states(cache_symbols(shape));
    SymbolValues bounds = decoder.bounds_of(symbols_of(shape));
    plan::TacticsFile file;
    file.set.device = session->device().fingerprint();
    file.plan = to_hex(plan::PlanFile::open(plan_)->identity());
    for (const plan::Step& step : decoder.stage().steps) {
      ops::OpDesc desc = runtime::describe_step(decoder.stage(), step, bounds);
      std::string signature = runtime::step_signature(decoder.stage(), step, desc);
      if (step.op != "linear" || file.set.find(signature)) continue;
      file.set.tactics.push_back({.signature = signature,
                                  .implementation = implementation,
                                  .variant = "",
                                  .instead_of = "",
                                  .seconds = 0,
                                  .instead_of_seconds = 0,
                                  .steps = 1});
    }
    return file;
  }
  std::vector<runtime::StepChoice> linear_choices(runtime::Session& session) {
    runtime::StageRunner& decoder = session.stage("decoder");
    DecoderShape shape{1, 1, 32};
    decoder.allocate_states(cache_symbols(shape));
    std::vector<runtime::StepChoice> linears;
    for (const runtime::StepChoice& choice : decoder.choices(symbols_of(shape))) {
      if (choice.op == "linear") linears.push_back(choice);
    }
    return linears;
  }
  Tensor logits(runtime::Session& session) {
    return run_in_steps(session, {1, 1, 32}, {{1, 5, 9, 2, 7, 3}}, 6);
  }

  std::string folder_, plan_;
  StderrProgress quiet_{ProgressStyle::Quiet};
};

bool same_bits(const Tensor& a, const Tensor& b) {
  auto left = a.view().byte_span(), right = b.view().byte_span();
  return std::equal(left.begin(), left.end(), right.begin(), right.end());
}

// With AVX2 alone a step has one implementation, and nothing is to be measured.
bool has_a_choice() {
  const char* limit = std::getenv("TENON_CPU_ISA");
#ifdef __x86_64__
  return __builtin_cpu_supports("avx512f") && !(limit && std::string_view(limit) == "avx2");
#else
  return false;
#endif
}

TEST_F(Tune, WritesWhatItMeasuredAndRunUsesIt) {
  if (!has_a_choice()) GTEST_SKIP() << "this CPU has one implementation of each step";
  TuneResult result = tune(options(), quiet_);
  EXPECT_EQ(result.path, plan_ + ".tactics");
  plan::TacticsFile file = plan::read_tactics_file(result.path);
  EXPECT_EQ(file.set.device, device::cpu_device().fingerprint());
  EXPECT_EQ(file.plan, to_hex(plan::PlanFile::open(plan_)->identity()));
  EXPECT_TRUE(file.gate.get_bool("passed", false));
  // One shape a size: two batches and a prompt.
  EXPECT_EQ(file.gate.get_int("shapes", 0), 3);
  const data::Json::Array& measured =
      result.report.at("measurements", "$").as_array("measurements");
  ASSERT_GT(measured.size(), 3u);
  for (const data::Json& entry : measured) {
    EXPECT_GT(entry.at("candidates", "$").as_array("candidates").size(), 1u);
    for (const data::Json& candidate : entry.at("candidates", "$").as_array("candidates")) {
      EXPECT_GT(candidate.get_double("seconds", 0), 0) << candidate.dump();
    }
  }
  auto session = open();
  EXPECT_EQ(session->tactics_origin(), result.path);
  EXPECT_EQ(session->tactics().size(), file.set.tactics.size());
  EXPECT_TRUE(session->tactics().skipped().empty());
  // Nothing else was left behind.
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2);
}

TEST_F(Tune, ATacticIsFollowedAndRunsToTheSameBits) {
  std::vector<runtime::StepChoice> plain = linear_choices(*open());
  write(forged("linear__reference"));
  auto session = open();
  std::vector<runtime::StepChoice> tuned = linear_choices(*session);
  ASSERT_EQ(plain.size(), tuned.size());
  for (size_t i = 0; i < tuned.size(); ++i) {
    EXPECT_NE(plain[i].implementation, tuned[i].implementation);
    EXPECT_EQ(tuned[i].implementation, "linear__reference");
    EXPECT_TRUE(tuned[i].by_tactic);
    EXPECT_FALSE(plain[i].by_tactic);
  }
  EXPECT_TRUE(session->tactics().skipped().empty());
  EXPECT_TRUE(same_bits(logits(*session), logits(*open())));
}

TEST_F(Tune, WhatDoesNotFitIsListedAndThePlanRuns) {
  Tensor expected = logits(*open());
  struct Case {
    const char* what;
    std::function<void(plan::TacticsFile&)> change;
    const char* said;
  };
  const Case cases[] = {
      {"other device", [](auto& file) { file.set.device = "A GPU of tomorrow"; },
       "made for A GPU of tomorrow"},
      {"other plan", [](auto& file) { file.plan = "00"; }, "made for another plan"},
      {"unknown implementation",
       [](auto& file) { file.set.tactics[0].implementation = "linear__magic"; },
       "no such implementation"},
      {"another op", [](auto& file) { file.set.tactics[0].implementation = "rms_norm__reference"; },
       "another op"},
      {"unknown variant", [](auto& file) { file.set.tactics[0].variant = "17x3"; },
       "no such variant"},
  };
  for (const Case& c : cases) {
    plan::TacticsFile file = forged("linear__reference");
    file.set.tactics.resize(1);
    c.change(file);
    write(file);
    auto session = open();
    EXPECT_TRUE(same_bits(logits(*session), expected)) << c.what;
    ASSERT_FALSE(session->tactics().skipped().empty()) << c.what;
    EXPECT_NE(session->tactics().skipped()[0].find(c.said), std::string::npos)
        << session->tactics().skipped()[0];
  }
  for (const char* text : {"", "{", "[]", "{\"tenon_tactics\": 1}"}) {
    std::ofstream(plan::tactics_path(plan_)) << text;
    auto session = open();
    EXPECT_TRUE(same_bits(logits(*session), expected)) << text;
    EXPECT_EQ(session->tactics().skipped().size(), 1u) << text;
  }
}

TEST_F(Tune, BuildEmbedsTacticsAndGivesTheSameBytes) {
  plan::TacticsFile file = forged("linear__reference");
  write(file);
  BuildOptions embedded;
  embedded.model = kModel;
  embedded.output = folder_ + "/embedded.plan";
  embedded.dtype = "bf16";
  embedded.tactics_files = {plan::tactics_path(plan_)};
  build(embedded, quiet_);
  // The same choices, measured on another day.
  for (plan::Tactic& tactic : file.set.tactics) tactic.seconds = 0.5;
  std::reverse(file.set.tactics.begin(), file.set.tactics.end());
  write(file);
  BuildOptions again = embedded;
  again.output = folder_ + "/again.plan";
  build(again, quiet_);
  EXPECT_EQ(read_text_file(embedded.output, 1 << 30), read_text_file(again.output, 1 << 30));
  plan_ = embedded.output;
  for (const runtime::StepChoice& choice : linear_choices(*open())) {
    EXPECT_EQ(choice.implementation, "linear__reference");
    EXPECT_TRUE(choice.by_tactic);
  }
  BuildOptions twice = embedded;
  twice.tactics_files.push_back(twice.tactics_files[0]);
  EXPECT_THROW(build(twice, quiet_), Error);
}

TEST_F(Tune, TheGateHoldsTacticsToTheBudget) {
  // In f32 every kernel has last digits of its own.
  BuildOptions exact;
  exact.model = kModel;
  exact.output = plan_;
  exact.dtype = "f32";
  build(exact, quiet_);
  auto file = plan::PlanFile::open(plan_);
  plan::TacticSet other = forged("linear__reference").set;
  auto gate = [&](const plan::TacticSet& set, double most_error) {
    return run_tune_gate(file, {}, set, {{1, 1, 32}}, {most_error, 0, 0.5, false}, quiet_);
  };
  TuneGate passed = gate(other, 1e-4);
  EXPECT_TRUE(passed.failures.empty());
  EXPECT_TRUE(passed.skipped.empty());
  EXPECT_EQ(passed.report.get_string("held_against", ""), "the plan's weights in f32 on the CPU");
  // A budget that no plan meets: the tactics answer for what they change, and that is more.
  TuneGate failed = gate(other, 1e-12);
  EXPECT_EQ(failed.failures.size(), 1u);
  EXPECT_FALSE(failed.report.get_bool("passed", true));
  EXPECT_EQ(failed.report.get_string("held_against", ""), "the plan without tactics");
  // No tactics change nothing.
  other.tactics.clear();
  EXPECT_TRUE(gate(other, 1e-12).failures.empty());
}

TEST_F(Tune, SizesBeyondThePlanAreRefused) {
  TuneOptions wrong = options();
  wrong.batches = {1 << 20};
  EXPECT_THROW(tune(wrong, quiet_), Error);
  wrong = options();
  wrong.prompts = {0};
  EXPECT_THROW(tune(wrong, quiet_), Error);
}

TEST_F(Tune, TheWidePlanRoundsNothing) {
  auto file = plan::PlanFile::open(plan_);
  plan::Plan wide = make_wide_plan(file->plan());
  for (const plan::Stage& stage : wide.stages) {
    for (const plan::ValueInfo& value : stage.values) {
      if (value.role == plan::ValueRole::Constant) continue;
      EXPECT_NE(value.type.dtype, DType::BF16);
      EXPECT_NE(value.type.dtype, DType::F16);
    }
  }
  PlanConstants constants(file);
  runtime::Session session(wide, constants);
  Tensor exact = logits(session), rounded = logits(*open());
  EXPECT_FALSE(same_bits(exact, rounded));
  EXPECT_LT(compare_with_oracle(rounded, exact, {0, 1e-3, 0.99, false})
                .report.at("against_oracle", "$")
                .get_double("mean_kld", 1),
            1e-3);
}

}  // namespace
}  // namespace tenon::compiler
