// The shipped miniatures through Tenon against what transformers measured
// (miniatures/*/reference.json): token ids, perplexity, greedy text, and the ROUGE of held-out
// summaries.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"
#include "compiler/build.h"
#include "data/json.h"
#include "metrics/perplexity.h"
#include "metrics/rouge.h"
#include "pipelines/llm/engine.h"
#include "plan/plan_file.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

const std::string kMiniatures = std::string(TENON_SOURCE_DIR) + "/miniatures/";

struct Document {
  std::string article, highlights;
};

std::vector<Document> held_out() {
  std::vector<Document> documents;
  for (const std::string& line :
       split(read_text_file(kMiniatures + "heldout.jsonl", 16 << 20), '\n')) {
    if (line.empty()) continue;
    data::Json json = data::parse_json(line);
    documents.push_back(
        {json.at("article", "$").as_string("$"), json.at("highlights", "$").as_string("$")});
  }
  return documents;
}

std::string strip(std::string text) {
  size_t begin = text.find_first_not_of(" \n"), end = text.find_last_not_of(" \n");
  return begin == text.npos ? "" : text.substr(begin, end - begin + 1);
}

std::string first_sentence(const std::string& text) {
  size_t end = text.find(". ");
  return end == text.npos ? text : text.substr(0, end + 1);
}

class Miniature : public ::testing::TestWithParam<const char*> {
 protected:
  Miniature() : documents_(held_out()) {
    char pattern[] = "/tmp/tenon-miniature-test-XXXXXX";
    folder_ = mkdtemp(pattern);
    reference_ = data::read_json_file(kMiniatures + GetParam() + "/reference.json");
  }
  ~Miniature() override { fs::remove_all(folder_); }

  std::unique_ptr<llm::Engine> engine(const std::string& dtype) {
    compiler::BuildOptions options;
    options.model = kMiniatures + GetParam();
    options.output = folder_ + "/" + dtype + ".plan";
    options.dtype = dtype;
    StderrProgress quiet(ProgressStyle::Quiet);
    compiler::build(options, quiet);
    return llm::Engine::open(plan::PlanFile::open(options.output));
  }

  std::vector<std::string> summaries(llm::Engine& engine, size_t count) {
    std::vector<std::string> texts(count);
    for (size_t i = 0; i < count; ++i) {
      llm::Request request;
      request.prompt.push_back(
          llm::Segment::of_ids(engine.tokenizer()->encode(documents_[i].article + " TL;DR:")));
      request.sampling.max_new_tokens = 60;
      engine.submit(std::move(request), [&texts, i](const llm::Update& update) {
        if (update.result) texts[i] = strip(update.result->text);
      });
    }
    engine.run_until_done();
    return texts;
  }

  double perplexity(llm::Engine& engine, size_t count, double& reference) {
    metrics::PerplexityAccumulator total;
    const auto& nll = reference_.at("nll", "$").as_array("$.nll");
    const auto& tokens = reference_.at("nll_tokens", "$").as_array("$.nll_tokens");
    double reference_nll = 0, reference_tokens = 0;
    for (size_t i = 0; i < count; ++i) {
      std::vector<int32_t> ids =
          engine.tokenizer()->encode(documents_[i].article + " TL;DR: " + documents_[i].highlights);
      engine.forced_logits(ids, [&](int64_t first, const TensorView& logits) {
        size_t columns = static_cast<size_t>(logits.columns());
        for (int64_t row = 0; row < logits.extents[0]; ++row) {
          size_t target = static_cast<size_t>(first + row + 1);
          if (target < ids.size())
            total.add_row({logits.as<float>() + row * columns, columns}, ids[target]);
        }
      });
      reference_nll += nll[i].as_double("$.nll");
      reference_tokens += tokens[i].as_double("$.nll_tokens");
    }
    EXPECT_EQ(total.finish().rows, static_cast<int64_t>(reference_tokens));
    reference = std::exp(reference_nll / reference_tokens);
    return total.finish().perplexity;
  }

  std::string folder_;
  std::vector<Document> documents_;
  data::Json reference_;
};

TEST_P(Miniature, TokenIdsEqualTheReference) {
  auto tokenizer = text::Tokenizer::from_folder(kMiniatures + GetParam());
  const auto& lists = reference_.at("ids_first_20", "$").as_array("$.ids_first_20");
  for (size_t i = 0; i < lists.size(); ++i) {
    std::vector<int32_t> expected;
    for (const data::Json& id : lists[i].as_array("$"))
      expected.push_back(static_cast<int32_t>(id.as_int("$")));
    EXPECT_EQ(tokenizer->encode(documents_[i].article + " TL;DR: " + documents_[i].highlights),
              expected)
        << i;
  }
}

TEST_P(Miniature, F32PerplexityIsWithinATenthOfAPercentOfPyTorch) {
  auto running = engine("f32");
  double reference = 0, got = perplexity(*running, documents_.size(), reference);
  EXPECT_NEAR(got / reference, 1.0, 1e-3);
  RecordProperty("perplexity", std::to_string(got));
}

TEST_P(Miniature, F32SummariesEqualTransformers) {
  auto running = engine("f32");
  const auto& expected = reference_.at("generated_first_50", "$").as_array("$.generated_first_50");
  std::vector<std::string> texts = summaries(*running, expected.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(texts[i], expected[i].at("text", "$").as_string("$.text")) << i;
  }
}

TEST_P(Miniature, SummariesOfTheBf16PlanScore) {
  auto running = engine("auto");
  std::vector<std::string> texts = summaries(*running, documents_.size());
  double score = 0, copying = 0;
  for (size_t i = 0; i < documents_.size(); ++i) {
    score += 100 * metrics::rouge(texts[i], documents_[i].highlights).rouge1.f;
    copying +=
        100 *
        metrics::rouge(first_sentence(documents_[i].article), documents_[i].highlights).rouge1.f;
  }
  score /= static_cast<double>(documents_.size());
  copying /= static_cast<double>(documents_.size());
  std::printf("%s: ROUGE-1 %.2f, copying the first sentence %.2f\n", GetParam(), score, copying);
  EXPECT_GE(score, 50);
  EXPECT_GE(score, copying + 20);
}

INSTANTIATE_TEST_SUITE_P(Models, Miniature, ::testing::Values("llama", "gpt2"),
                         [](const auto& name) { return std::string(name.param); });

}  // namespace
}  // namespace tenon
