// One step at a time computes something wrong: the comparison must name that step, in the model's
// own names.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <array>
#include <cmath>
#include <filesystem>

#include "compiler/build.h"
#include "compiler/check_run.h"
#include "compiler/gate.h"
#include "ops/glu.h"
#include "ops/kv_cache.h"
#include "ops/linear.h"
#include "plan/plan_file.h"
#include "prove/compare.h"
#include "prove/original.h"
#include "prove/tensor_compare.h"
#include "runtime/backend_loader.h"

namespace tenon::prove {
namespace {

namespace fs = std::filesystem;

// The fault in force: the n-th step of an op, counted within one pass, scales what it wrote.
constexpr int64_t kNone = -1, kEvery = -2;
struct Fault {
  std::string op;
  int64_t instance = kNone;
  int64_t of = 1;         // steps of that op in the stage
  bool in_cache = false;  // scales what went into the KV cache instead of the output
  float factor = 1;
  int64_t calls = 0;
};
Fault fault;

void scale(const TensorView& view, float factor) {
  Tensor values = make_f32(view);
  for (int64_t i = 0; i < values.count(); ++i) values.as<float>()[i] *= factor;
  copy_convert(values, view);
}

void after(const ops::Implementation& original, const ops::RunArgs& args) {
  if (fault.instance == kNone || original.op != fault.op) return;
  if (fault.calls++ % fault.of != fault.instance && fault.instance != kEvery) return;
  scale(fault.in_cache ? args.inputs.back() : args.outputs[0], fault.factor);
}

// An implementation is plain functions, so each slot is a function of its own.
constexpr size_t kSlots = 256;
std::array<const ops::Implementation*, kSlots> originals;
std::array<ops::Implementation, kSlots> wrapped;
template <size_t kSlot>
void run_wrapped(const ops::RunArgs& args) {
  originals[kSlot]->run(args);
  after(*originals[kSlot], args);
}
template <size_t... kSlot>
constexpr auto run_functions(std::index_sequence<kSlot...>) {
  return std::array{&run_wrapped<kSlot>...};
}

// Every implementation of the CPU, with the fault behind it.
class FaultyBackends {
 public:
  FaultyBackends() {
    static constexpr auto kRuns = run_functions(std::make_index_sequence<kSlots>());
    size_t slot = 0;
    for (const runtime::Backend& backend : runtime::open_backends({}).backends) {
      lists_.emplace_back();
      for (const ops::Implementation* original : backend.implementations) {
        TENON_CHECK(slot < kSlots);
        originals[slot] = original;
        wrapped[slot] = *original;
        wrapped[slot].run = kRuns[slot];
        lists_.back().push_back(&wrapped[slot++]);
      }
      names_.push_back(backend.device);
    }
  }
  std::vector<runtime::Backend> list() const {
    std::vector<runtime::Backend> backends;
    for (size_t i = 0; i < lists_.size(); ++i) backends.push_back({names_[i], lists_[i]});
    return backends;
  }

 private:
  std::vector<std::vector<const ops::Implementation*>> lists_;
  std::vector<std::string> names_;
};

class FileConstants : public runtime::ConstantSource {
 public:
  explicit FileConstants(std::shared_ptr<const plan::PlanFile> file) : file_(std::move(file)) {}
  TensorView constant(size_t index) override { return file_->constant(index); }

 private:
  std::shared_ptr<const plan::PlanFile> file_;
};

// A plan of a miniature, what its original says of a prompt, and a runner whose steps can fail.
class Subject {
 public:
  Subject(const std::string& folder, const std::string& model, const std::string& dtype)
      : file_(build(folder, model, dtype)),
        precision_(dtype_from_name(dtype).value()),
        constants_(file_),
        stream_(device::cpu_device().make_stream()),
        runner_(plan::find_stage(file_->plan(), "decoder"), constants_, backends_.list(),
                device::cpu_device(), *stream_) {
    llm::EngineOptions options;
    options.max_batch_size = 1;
    options.max_seq_len = 64;
    auto original = open_reference(miniature(model), options);
    std::vector<int32_t> ids = original->engine().tokenizer()->encode(
        "It was a stormy night in Ravenford, and the streets were almost empty.");
    data_.ids = ids;
    data_.seq_offsets = {0, static_cast<int32_t>(ids.size())};
    for (size_t i = 0; i < ids.size(); ++i) data_.logit_rows.push_back(static_cast<int32_t>(i));
    reference_ = capture_tensors(original->engine().session().stage("decoder"), data_);
  }

  static std::string miniature(const std::string& model) {
    return std::string(TENON_SOURCE_DIR) + "/miniatures/" + model;
  }
  const plan::Stage& stage() const { return runner_.stage(); }
  const std::shared_ptr<const plan::PlanFile>& file() const { return file_; }
  const compiler::CheckData& data() const { return data_; }
  TensorComparison compare() {
    fault.calls = 0;
    return compare_tensors(runner_, data_, reference_, precision_);
  }
  Tensor logits() { return compiler::run_check(runner_, data_); }

  // Steps of an op (of linears: with that weight), in order.
  std::vector<size_t> steps_of(const std::string& op, const std::string& weight) const {
    std::vector<size_t> steps;
    for (size_t i = 0; i < stage().steps.size(); ++i) {
      const plan::Step& step = stage().steps[i];
      if (step.op != op) continue;
      if (!weight.empty() && name_of(step.inputs[1]).find(weight) == std::string::npos) continue;
      steps.push_back(i);
    }
    return steps;
  }
  std::string name_of(int32_t value) const {
    const auto& names = stage().values[value].names;
    return names.empty() ? "" : names[0];
  }

 private:
  static std::shared_ptr<const plan::PlanFile> build(const std::string& folder,
                                                     const std::string& model,
                                                     const std::string& dtype) {
    compiler::BuildOptions options;
    options.model = miniature(model);
    options.output = folder + "/" + model + "_" + dtype + ".plan";
    options.dtype = dtype;
    options.gate = false;
    StderrProgress quiet(ProgressStyle::Quiet);
    compiler::build(options, quiet);
    return plan::PlanFile::open(options.output);
  }

  std::shared_ptr<const plan::PlanFile> file_;
  DType precision_;
  FileConstants constants_;
  FaultyBackends backends_;
  std::unique_ptr<device::Stream> stream_;
  runtime::StageRunner runner_;
  compiler::CheckData data_;
  ReferenceTensors reference_;
};

struct Kind {
  const char* model;
  const char* op;
  const char* weight;  // of a linear: part of its name
  bool in_cache;
};

// One for each kind of step there is.
constexpr Kind kKinds[] = {
    {"llama", "embedding", "", false},     {"llama", "rms_norm", "", false},
    {"llama", "linear", "qkv", false},     {"llama", "rope_kv_append", "", false},
    {"llama", "rope_kv_append", "", true}, {"llama", "paged_attention", "", false},
    {"llama", "linear", "gate_up", false}, {"llama", "linear", "o_proj", false},
    {"llama", "glu", "", false},           {"llama", "linear", "down_proj", false},
    {"llama", "gather_rows", "", false},   {"llama", "linear", "lm_head", false},
    {"gpt2", "layer_norm", "", false},     {"gpt2", "linear", "c_fc", false},
};

// "model.layers.3" of "model.layers.3.mlp.down_proj"; a module without a number is its own.
std::string layer_of(const std::string& module) {
  size_t digit = module.find_first_of("0123456789");
  return digit == module.npos ? module : module.substr(0, module.find('.', digit));
}

class PlantedFaults : public ::testing::TestWithParam<const char*> {
 protected:
  PlantedFaults() {
    char pattern[] = "/tmp/tenon-faults-test-XXXXXX";
    folder_ = mkdtemp(pattern);
  }
  ~PlantedFaults() override {
    fault = {};
    fs::remove_all(folder_);
  }

  // Plants it in the middle one of its kind; returns that step.
  static size_t plant(const Subject& subject, const Kind& kind, float factor) {
    std::vector<size_t> all = subject.steps_of(kind.op, ""),
                        some = subject.steps_of(kind.op, kind.weight);
    if (some.empty()) return SIZE_MAX;
    size_t step = some[some.size() / 2];
    fault = {.op = kind.op,
             .instance = std::find(all.begin(), all.end(), step) - all.begin(),
             .of = static_cast<int64_t>(all.size()),
             .in_cache = kind.in_cache,
             .factor = factor};
    return step;
  }
  std::string folder_;
};

TEST_P(PlantedFaults, TheStepAtFaultComesFirst) {
  std::string dtype = GetParam();
  Subject llama(folder_, "llama", dtype), gpt2(folder_, "gpt2", dtype);
  float factor = dtype == "f32" ? 1.0003f : 1.04f;
  int found = 0;
  for (const Kind& kind : kKinds) {
    Subject& subject = kind.model == std::string("llama") ? llama : gpt2;
    size_t step = plant(subject, kind, factor);
    std::string what = std::string(kind.model) + " " + kind.op + " " + kind.weight;
    ASSERT_NE(step, SIZE_MAX) << what;
    TensorComparison comparison = subject.compare();
    ASSERT_GE(comparison.first_offender, 0) << what;
    const ComparedTensor& first = comparison.tensors[comparison.first_offender];
    EXPECT_EQ(comparison.ranking[0], static_cast<size_t>(comparison.first_offender)) << what;
    // What went wrong into the cache shows where attention reads it: the same layer.
    std::string wanted = kind.in_cache ? "paged_attention" : kind.op;
    EXPECT_EQ(first.op, wanted) << what << " but " << first.name;
    EXPECT_EQ(layer_of(first.module), layer_of(subject.stage().steps[step].module)) << what;
    EXPECT_TRUE(kind.in_cache || first.step == step) << what << " but " << first.name;
    if (layer_of(first.module) == layer_of(subject.stage().steps[step].module)) ++found;
    // The other steps were judged on the reference's values: nothing spread.
    size_t above = 0;
    for (const ComparedTensor& tensor : comparison.tensors) above += tensor.excess > 1 ? 1 : 0;
    EXPECT_EQ(above, 1u) << what;
  }
  std::printf("%s: %d of %zu planted faults named\n", dtype.c_str(), found, std::size(kKinds));
}

// As a wrong constant of the model or a wrong kernel would: no step has sound peers.
TEST_P(PlantedFaults, AFaultInEveryStepOfAKindIsFoundInTheFirst) {
  std::string dtype = GetParam();
  Subject subject(folder_, "llama", dtype);
  for (const char* op : {"rope_kv_append", "glu", "linear"}) {
    fault = {.op = op, .instance = kEvery, .factor = dtype == "f32" ? 1.001f : 1.4f};
    TensorComparison comparison = subject.compare();
    ASSERT_GE(comparison.first_offender, 0) << op;
    const ComparedTensor& first = comparison.tensors[comparison.first_offender];
    EXPECT_EQ(first.op, op);
    EXPECT_EQ(layer_of(first.module), "model.layers.0");
  }
}

TEST_P(PlantedFaults, WithoutAFaultNoStepStandsOutAndTheReadOutChangesNothing) {
  for (const char* model : {"llama", "gpt2"}) {
    Subject subject(folder_, model, GetParam());
    TensorComparison comparison = subject.compare();
    EXPECT_EQ(comparison.first_offender, -1)
        << comparison.tensors[comparison.ranking[0]].name << " "
        << comparison.tensors[comparison.ranking[0]].excess;
    EXPECT_TRUE(comparison.fusion_unchanged);
    // Fused steps are fewer than the original's, and those it lost are listed.
    EXPECT_FALSE(comparison.not_observable.empty());
    for (const ComparedTensor& tensor : comparison.tensors) {
      EXPECT_GE(tensor.accumulated.count, 1) << tensor.name;
      EXPECT_EQ(tensor.own.nonfinite, 0) << tensor.name;
    }
    // The wrapped runner is the session that ships: same implementations, same bits.
    auto session = runtime::Session::open(subject.file());
    Tensor shipped = compiler::run_check(*session, subject.data()), here = subject.logits();
    ASSERT_EQ(shipped.extents(), here.extents());
    for (int64_t i = 0; i < here.count(); ++i) {
      ASSERT_EQ(shipped.as<float>()[i], here.as<float>()[i]) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, PlantedFaults, ::testing::Values("f32", "bf16", "f16"));

class CompareVerb : public PlantedFaults {
 protected:
  std::string build(const std::string& dtype) {
    compiler::BuildOptions options;
    options.model = Subject::miniature("llama");
    options.output = folder_ + "/" + dtype + ".plan";
    options.dtype = dtype;
    StderrProgress quiet(ProgressStyle::Quiet);
    compiler::build(options, quiet);
    return options.output;
  }
  StderrProgress quiet_{ProgressStyle::Quiet};
};

TEST_F(CompareVerb, AgainstTheModelAndAnotherPlan) {
  std::string f32 = build("f32"), bf16 = build("bf16");
  CompareOptions options{.plan = bf16, .against = Subject::miniature("llama"), .layers = true};
  Comparison against_model = compare(options, quiet_);
  EXPECT_TRUE(against_model.failures.empty());
  EXPECT_GT(against_model.kld.mean, 0);
  EXPECT_EQ(against_model.layers->first_offender, -1);
  EXPECT_TRUE(against_model.layers->fusion_unchanged);
  EXPECT_TRUE(against_model.repair.steps.empty());
  options.against = f32;
  Comparison against_plan = compare(options, quiet_);
  EXPECT_NEAR(against_plan.kld.mean / against_model.kld.mean, 1, 0.05);
  options.plan = f32;
  Comparison same = compare(options, quiet_);
  EXPECT_EQ(same.logits.max_abs, 0);
  EXPECT_TRUE(same.layers->not_observable.empty());
  for (const ComparedTensor& tensor : same.layers->tensors) {
    EXPECT_EQ(tensor.accumulated.max_abs, 0) << tensor.name;
  }
}

TEST_F(CompareVerb, AMissedBudgetBringsARepair) {
  CompareOptions options{
      .plan = build("bf16"), .against = Subject::miniature("llama"), .layers = true};
  double usual = compare(options, quiet_).kld.mean;
  options.max_kld = usual / 2;
  Comparison missed = compare(options, quiet_);
  ASSERT_EQ(missed.failures.size(), 1u);
  size_t half = missed.repair.steps.size();
  EXPECT_GT(half, 0u);
  EXPECT_LT(half, missed.layers->tensors.size());
  options.max_kld = usual / 10;
  EXPECT_GT(compare(options, quiet_).repair.steps.size(), half);
}

}  // namespace
}  // namespace tenon::prove
