// Every tiny checkpoint of tests/golden/models.tar.xz against what transformers computed from it in
// f32: logits, the text of 256 greedy tokens, and the KL divergence of 16-bit plans.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "compiler/build.h"
#include "data/json.h"
#include "frontends/safetensors/safetensors_file.h"
#include "metrics/error_stats.h"
#include "metrics/kl_divergence.h"
#include "pipelines/llm/engine.h"
#include "plan/plan_file.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

const std::string kModels = TENON_GOLDEN_MODELS;

struct Golden {
  std::vector<int32_t> ids, seq_offsets, greedy;
  Tensor logits;  // f32 [tokens, vocabulary]
};

std::vector<int32_t> read_i32(const frontends::SafetensorsFile& file, std::string_view name) {
  TensorView view = file.view(name);
  return {view.as<int32_t>(), view.as<int32_t>() + view.count()};
}

Golden read_golden(const std::string& variant) {
  auto file = frontends::SafetensorsFile::open(kModels + variant + "/expected.safetensors");
  return {read_i32(*file, "ids"), read_i32(*file, "seq_offsets"), read_i32(*file, "greedy.ids"),
          make_f32(file->view("logits"))};
}

std::vector<std::string> variants() {
  std::vector<std::string> names;
  data::Json index = data::read_json_file(kModels + "index.json");
  for (const data::Json& entry : index.as_array("$")) {
    names.push_back(entry.at("path", "$").as_string("$.path"));
  }
  return names;
}

class GoldenModel : public ::testing::TestWithParam<std::string> {
 protected:
  GoldenModel() {
    char pattern[] = "/tmp/tenon-golden-test-XXXXXX";
    folder_ = mkdtemp(pattern);
    golden_ = read_golden(GetParam());
  }
  ~GoldenModel() override { fs::remove_all(folder_); }

  std::unique_ptr<llm::Engine> engine(const std::string& dtype) {
    compiler::BuildOptions options;
    options.model = kModels + GetParam();
    options.output = folder_ + "/" + dtype + ".plan";
    options.dtype = dtype;
    StderrProgress quiet(ProgressStyle::Quiet);
    compiler::build(options, quiet);
    return llm::Engine::open(plan::PlanFile::open(options.output));
  }

  // Teacher-forced logits of every sequence, in the layout of the golden file.
  Tensor forced(llm::Engine& engine) {
    Tensor logits = Tensor::make(DType::F32, golden_.logits.extents());
    for (size_t s = 0; s + 1 < golden_.seq_offsets.size(); ++s) {
      int64_t begin = golden_.seq_offsets[s], end = golden_.seq_offsets[s + 1];
      std::span<const int32_t> ids(golden_.ids.data() + begin, static_cast<size_t>(end - begin));
      engine.forced_logits(ids, [&](int64_t first, const TensorView& rows) {
        copy_convert(rows, logits.view().slice(0, begin + first, begin + first + rows.extents[0]));
      });
    }
    return logits;
  }

  metrics::KldStats divergence(const Tensor& got) {
    metrics::KldAccumulator kld;
    size_t columns = static_cast<size_t>(got.view().columns());
    for (int64_t row = 0; row < got.view().rows(); ++row) {
      kld.add_row({got.as<float>() + row * columns, columns},
                  {golden_.logits.as<float>() + row * columns, columns});
    }
    return kld.finish();
  }

  std::string folder_;
  Golden golden_;
};

TEST_P(GoldenModel, F32LogitsEqualTransformers) {
  auto running = engine("f32");
  Tensor got = forced(*running);
  size_t count = static_cast<size_t>(got.count());
  metrics::ErrorStats stats =
      metrics::compare({got.as<float>(), count}, {golden_.logits.as<float>(), count});
  EXPECT_LE(stats.max_abs, 1e-4 * stats.reference_rms);
  EXPECT_EQ(stats.nonfinite, 0);
  RecordProperty("max_error_over_rms", std::to_string(stats.max_abs / stats.reference_rms));
}

TEST_P(GoldenModel, F32GreedyTextEqualsTransformers) {
  auto running = engine("f32");
  llm::Request request;
  request.prompt.push_back(
      llm::Segment::of_ids({golden_.ids.begin(), golden_.ids.begin() + golden_.seq_offsets[1]}));
  request.sampling.max_new_tokens = static_cast<int64_t>(golden_.greedy.size());
  request.sampling.ignore_eos = true;
  EXPECT_EQ(running->generate(request).ids, golden_.greedy);
}

TEST_P(GoldenModel, SixteenBitPlansKeepTheDistribution) {
  auto bf16 = engine("bf16");
  metrics::KldStats stats = divergence(forced(*bf16));
  EXPECT_LE(stats.mean, 1e-3);
  // About 55 rows of random logits whose ties are as close as bf16 rounds: one or two may flip.
  EXPECT_GE(stats.same_top, 0.95);
  auto f16 = engine("f16");
  stats = divergence(forced(*f16));
  EXPECT_LE(stats.mean, 1e-4);
  EXPECT_GE(stats.same_top, 0.995);
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenModel, ::testing::ValuesIn(variants()),
                         [](const auto& variant) {
                           std::string name = variant.param;
                           for (char& c : name) c = c == '/' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace tenon
