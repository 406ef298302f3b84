// The contract of ragged batches (src/pipelines/llm/README.md), on every device of this machine.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "compiler/build.h"
#include "compiler/check_data.h"
#include "device/gpu_survey.h"
#include "metrics/error_stats.h"
#include "metrics/kl_divergence.h"
#include "pipelines/llm/engine.h"
#include "runtime/backend_loader.h"

namespace tenon::compiler {
namespace {

namespace fs = std::filesystem;

const std::string kModels = TENON_GOLDEN_MODELS;
constexpr int kNewTokens = 12;

struct Answer {
  std::vector<int32_t> ids;
  std::vector<std::vector<float>> logits;  // of each new token
};

// Prompts of several lengths, so that steps mix prefill and decode.
std::vector<std::vector<int32_t>> prompts(int64_t vocabulary) {
  std::vector<std::vector<int32_t>> list;
  for (size_t length : {1, 7, 19, 3, 26}) list.push_back(random_ids(length, vocabulary, length));
  return list;
}

std::vector<Answer> answers(const std::shared_ptr<const plan::PlanFile>& file,
                            const device::DeviceId& device, int64_t batch, int64_t step_tokens) {
  llm::EngineOptions options;
  options.device = device;
  options.max_batch_size = batch;
  options.max_num_tokens = step_tokens;
  auto engine = llm::Engine::open(file, options);
  std::map<llm::RequestId, size_t> index;
  std::vector<std::vector<int32_t>> texts = prompts(engine->model().vocabulary);
  std::vector<Answer> result(texts.size());
  engine->set_logits_observer([&](llm::RequestId id, std::span<const float> logits) {
    result[index.at(id)].logits.emplace_back(logits.begin(), logits.end());
  });
  for (size_t i = 0; i < texts.size(); ++i) {
    llm::Request request;
    request.prompt = {llm::Segment::of_ids(texts[i])};
    request.sampling.temperature = 0;
    request.sampling.max_new_tokens = kNewTokens;
    request.sampling.ignore_eos = true;
    index[engine->submit(std::move(request), [&, i](const llm::Update& update) {
      if (update.result) result[i].ids = update.result->ids;
    })] = i;
  }
  engine->run_until_done();
  return result;
}

struct Difference {
  double mean_kld = 0, max_error_over_rms = 0;
  int64_t rows = 0, undecided = 0;  // undecided: another token where two were nearly equal
  int64_t decided = 0;              // another token although one was clearly ahead
};

// Of two sequences up to the first token that differs: behind it they are different texts.
void compare(const Answer& alone, const Answer& together, metrics::KldAccumulator& kld,
             Difference& difference) {
  for (size_t i = 0; i < alone.ids.size(); ++i) {
    kld.add_row(together.logits.at(i), alone.logits.at(i));
    metrics::ErrorStats error = metrics::compare(together.logits[i], alone.logits[i]);
    double over_rms = error.max_abs / error.reference_rms;
    difference.max_error_over_rms = std::max(difference.max_error_over_rms, over_rms);
    ++difference.rows;
    if (alone.ids[i] == together.ids.at(i)) continue;
    std::vector<float> sorted = alone.logits[i];
    std::partial_sort(sorted.begin(), sorted.begin() + 2, sorted.end(), std::greater<>());
    bool clear = sorted[0] - sorted[1] >= 0.01 * error.reference_rms;
    ++(clear ? difference.decided : difference.undecided);
    return;
  }
}

Difference difference_of(const std::vector<Answer>& alone, const std::vector<Answer>& together) {
  Difference difference;
  metrics::KldAccumulator kld;
  for (size_t i = 0; i < alone.size(); ++i) compare(alone[i], together[i], kld, difference);
  difference.mean_kld = kld.finish().mean;
  return difference;
}

class RaggedBatch : public ::testing::TestWithParam<const char*> {
 protected:
  RaggedBatch() {
    char pattern[] = "/tmp/tenon-ragged-test-XXXXXX";
    folder_ = mkdtemp(pattern);
    device_ = device::DeviceId::parse(GetParam());
  }
  ~RaggedBatch() override { fs::remove_all(folder_); }
  bool is_here() const {
    if (device_.kind == device::Kind::Cpu) return true;
    const runtime::GpuBackend& gpu = runtime::gpu_backend();
    return gpu.library && !device::gpu_refusal(gpu.library->survey(), device_.index);
  }
  std::shared_ptr<const plan::PlanFile> plan(const std::string& model, const std::string& dtype) {
    BuildOptions options;
    options.model = kModels + model;
    options.output = folder_ + "/model.plan";
    options.dtype = dtype;
    StderrProgress quiet{ProgressStyle::Quiet};
    build(options, quiet);
    return plan::PlanFile::open(options.output);
  }
  std::string folder_;
  device::DeviceId device_;
};

TEST_P(RaggedBatch, GivesEachSequenceWhatItGetsAlone) {
  if (!is_here()) GTEST_SKIP() << "no device " << GetParam();
  for (const char* model : {"llama/gqa", "gpt2/base"}) {
    for (const char* dtype : {"f32", "f16", "bf16"}) {
      auto file = plan(model, dtype);
      std::vector<Answer> alone = answers(file, device_, 1, 512);
      // Whole prompts in one step, and prompts cut into pieces that mix with decoding.
      for (int64_t step_tokens : {512, 8}) {
        std::vector<Answer> together = answers(file, device_, 5, step_tokens);
        Difference difference = difference_of(alone, together);
        std::string where = std::string(model) + " " + dtype + " " + std::to_string(step_tokens);
        EXPECT_GE(difference.rows, 5 * kNewTokens / 2) << where;
        EXPECT_EQ(difference.decided, 0) << where;
        bool exact = std::string(dtype) == "f32";
        if (exact) {
          EXPECT_EQ(difference.undecided, 0) << where;
          EXPECT_LE(difference.max_error_over_rms, 1e-5) << where;
        } else {
          // A tenth of what the plan may differ from its oracle.
          EXPECT_LE(difference.mean_kld, std::string(dtype) == "f16" ? 1e-5 : 1e-4) << where;
        }
        RecordProperty("kld " + where, std::to_string(difference.mean_kld));
        std::printf("%-24s %s: mean KL divergence %.2g, largest error / RMS %.2g, %d near-ties\n",
                    where.c_str(), GetParam(), difference.mean_kld, difference.max_error_over_rms,
                    static_cast<int>(difference.undecided));
        // The same batch again: the same bits.
        std::vector<Answer> again = answers(file, device_, 5, step_tokens);
        for (size_t i = 0; i < together.size(); ++i) {
          EXPECT_EQ(again[i].ids, together[i].ids) << where;
          EXPECT_EQ(again[i].logits, together[i].logits) << where;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, RaggedBatch, ::testing::Values("cpu", "cuda"),
                         [](const auto& device) { return std::string(device.param); });

}  // namespace
}  // namespace tenon::compiler
