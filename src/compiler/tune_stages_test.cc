#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "compiler/build.h"
#include "compiler/stage_checks.h"
#include "compiler/stage_gate.h"
#include "compiler/tune.h"
#include "compiler/tune_subject.h"
#include "compiler/wide_plan.h"
#include "models/model.h"
#include "runtime/step_signature.h"

namespace tenon::compiler {
namespace {

namespace fs = std::filesystem;

const std::string kSam = TENON_GOLDEN_SAM "model.safetensors";

constexpr std::array<models::CheckSize, 2> kSizes = {{{1, 2}, {3, 2}}};

class TuneStages : public ::testing::Test {
 protected:
  TuneStages() {
    char pattern[] = "/tmp/tenon-tune-stages-test-XXXXXX";
    folder_ = mkdtemp(pattern);
    plan_ = folder_ + "/model.plan";
    BuildOptions options;
    options.model = kSam;
    options.output = plan_;
    options.dtype = "bf16";
    build(options, quiet_);
  }
  ~TuneStages() override { fs::remove_all(folder_); }

  TuneOptions options() {
    TuneOptions result;
    result.plan = plan_;
    result.batches = {1, 3};
    result.rounds = 1;
    // Every difference counts: this is about what happens with tactics, not about speed.
    result.least_gain = -1;
    return result;
  }
  models::StageChecks checks() {
    return models::architecture_named("sam")->checks_in(file()->plan().model, kSizes);
  }
  std::shared_ptr<const plan::PlanFile> file() { return plan::PlanFile::open(plan_); }
  std::unique_ptr<runtime::Session> open() { return runtime::Session::open(file()); }

  // Every product of the encoder and of a decoder on another implementation.
  plan::TacticsFile forged(const std::string& implementation) {
    auto session = open();
    plan::TacticsFile result;
    result.set.device = session->device().fingerprint();
    result.plan = to_hex(file()->identity());
    for (const models::CheckCall& call : checks().calls) {
      runtime::StageRunner& runner = session->stage(call.stage);
      SymbolValues bounds = runner.bounds_of(symbols_of(runner.stage(), call));
      for (const plan::Step& step : runner.stage().steps) {
        ops::OpDesc desc = runtime::describe_step(runner.stage(), step, bounds);
        std::string signature = runtime::step_signature(runner.stage(), step, desc);
        if (step.op != "linear" || result.set.find(signature)) continue;
        plan::Tactic tactic;
        tactic.signature = signature, tactic.implementation = implementation, tactic.steps = 1;
        result.set.tactics.push_back(tactic);
      }
    }
    return result;
  }
  void write(const plan::TacticsFile& tactics) {
    std::ofstream(plan::tactics_path(plan_)) << plan::to_text(tactics);
  }
  int64_t products_by_tactic(runtime::Session& session) {
    int64_t count = 0;
    for (const models::CheckCall& call : checks().calls) {
      runtime::StageRunner& runner = session.stage(call.stage);
      for (const runtime::StepChoice& choice : runner.choices(symbols_of(runner.stage(), call)))
        count += choice.op == "linear" && choice.by_tactic;
    }
    return count;
  }

  std::string folder_, plan_;
  StderrProgress quiet_{ProgressStyle::Quiet};
};

bool same_bits(const StageOutputs& a, const StageOutputs& b) {
  for (size_t i = 0; i < a.calls.size(); ++i) {
    for (size_t j = 0; j < a.calls[i].size(); ++j) {
      auto left = a.calls[i][j].view().byte_span(), right = b.calls.at(i).at(j).view().byte_span();
      if (!std::equal(left.begin(), left.end(), right.begin(), right.end())) return false;
    }
  }
  return true;
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

TEST_F(TuneStages, WritesWhatItMeasuredAndSessionsUseIt) {
  if (!has_a_choice()) GTEST_SKIP() << "this CPU has one implementation of each step";
  TuneResult result = tune(options(), quiet_);
  plan::TacticsFile tactics = plan::read_tactics_file(result.path);
  EXPECT_EQ(result.path, plan_ + ".tactics");
  EXPECT_EQ(tactics.plan, to_hex(file()->identity()));
  EXPECT_TRUE(tactics.gate.get_bool("passed", false));
  // A picture, and two decoders in two sizes.
  EXPECT_EQ(tactics.gate.get_int("calls", 0), 5);
  std::set<std::string> stages, sizes;
  for (const data::Json& entry : result.report.at("measurements", "$").as_array("measurements")) {
    stages.insert(entry.get_string("stage", ""));
    sizes.insert(std::to_string(entry.get_int("prompts", 0)));
    EXPECT_GT(entry.at("candidates", "$").as_array("candidates").size(), 1u);
  }
  // The masked decoder has its own convolutions beside the steps of the other.
  EXPECT_EQ(stages,
            (std::set<std::string>{"image_encoder", "mask_decoder", "mask_decoder_with_mask"}));
  EXPECT_EQ(sizes, (std::set<std::string>{"0", "1", "3"}));
  auto session = open();
  EXPECT_EQ(session->tactics_origin(), result.path);
  EXPECT_EQ(session->tactics().size(), tactics.set.tactics.size());
  EXPECT_TRUE(session->tactics().skipped().empty());
  run_checks(*session, checks());
  EXPECT_TRUE(session->tactics().skipped().empty());
  // Nothing else was left behind.
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2);
}

TEST_F(TuneStages, EveryStageFollowsATactic) {
  EXPECT_EQ(products_by_tactic(*open()), 0);
  plan::TacticsFile tactics = forged("linear__reference");
  write(tactics);
  auto tuned = open();
  int64_t products = 0;
  for (const models::CheckCall& call : checks().calls) {
    const plan::Stage& stage = tuned->stage(call.stage).stage();
    products += std::count_if(stage.steps.begin(), stage.steps.end(),
                              [](const plan::Step& step) { return step.op == "linear"; });
  }
  EXPECT_EQ(products_by_tactic(*tuned), products);
  // The masks are those of the plan's weights in f32, by either.
  plan::Plan wide = make_f32_plan(file()->plan());
  WideConstants constants(file());
  runtime::Session exact(wide, constants);
  StageOutputs reference = run_checks(exact, checks());
  GateResult held = compare_stages(run_checks(*tuned, checks()), reference, checks(),
                                   file()->plan(), {0, 5e-2, 0.9, true});
  EXPECT_TRUE(held.passed) << held.report.dump();
}

TEST_F(TuneStages, TacticsOfAnotherPlanOrDeviceAreListedAndChangeNothing) {
  StageOutputs expected = run_checks(*open(), checks());
  for (bool other_plan : {false, true}) {
    plan::TacticsFile tactics = forged("linear__reference");
    (other_plan ? tactics.plan : tactics.set.device) = "00";
    write(tactics);
    auto session = open();
    EXPECT_TRUE(same_bits(run_checks(*session, checks()), expected));
    ASSERT_EQ(session->tactics().skipped().size(), 1u);
    EXPECT_NE(session->tactics().skipped()[0].find(other_plan ? "another plan" : "made for 00"),
              std::string::npos);
  }
}

TEST_F(TuneStages, TheGateHoldsTacticsToTheBudget) {
  // In f32 every kernel has last digits of its own, and the plan itself has those of its f32 form.
  BuildOptions exact;
  exact.model = kSam;
  exact.output = plan_;
  exact.dtype = "f32";
  exact.gate = false;
  auto prove = [&](double most_error, const plan::TacticSet& tactics) {
    exact.max_error = most_error;
    build(exact, quiet_);
    TuneOptions chosen = options();
    return make_stages_subject(file(), chosen, quiet_)->prove(tactics);
  };
  plan::TacticSet none;
  none.device = device::cpu_device().fingerprint();
  TuneGate passed = prove(1e-3, forged("linear__reference").set);
  EXPECT_TRUE(passed.failures.empty());
  EXPECT_TRUE(passed.skipped.empty());
  EXPECT_EQ(passed.report.get_string("held_against", ""), "the plan's weights in f32 on the CPU");
  TuneGate failed = prove(1e-9, forged("linear__reference").set);
  ASSERT_FALSE(failed.failures.empty());
  EXPECT_NE(failed.failures[0].find("image_encoder.embedding"), std::string::npos);
  EXPECT_FALSE(failed.report.get_bool("passed", true));
  EXPECT_TRUE(prove(1e-9, none).failures.empty());
}

TEST_F(TuneStages, TheF32PlanRoundsNothing) {
  plan::Plan wide = make_f32_plan(file()->plan());
  for (const plan::Stage& stage : wide.stages) {
    for (const plan::ValueInfo& value : stage.values) {
      EXPECT_NE(value.type.dtype, DType::BF16);
      EXPECT_NE(value.type.dtype, DType::F16);
    }
  }
}

TEST_F(TuneStages, SizesAndOptionsThatDoNotFitAreRefused) {
  TuneOptions wrong = options();
  wrong.batches = {5000};
  EXPECT_THROW(tune(wrong, quiet_), Error);
  wrong = options();
  wrong.prompts = {0};
  EXPECT_THROW(tune(wrong, quiet_), Error);
  wrong = options();
  wrong.context = 64;
  EXPECT_THROW(tune(wrong, quiet_), Error);
  EXPECT_FALSE(file_exists(plan_ + ".tactics"));
}

TEST_F(TuneStages, ChecksWantADescription) {
  auto checks_in = models::architecture_named("sam")->checks_in;
  data::Json nothing = data::Json::object();
  EXPECT_THROW(checks_in(nothing, {}), Error);
  EXPECT_EQ(models::architecture_named("llama")->checks_in, nullptr);
  EXPECT_EQ(models::architecture_named("lama"), nullptr);
}

}  // namespace
}  // namespace tenon::compiler
