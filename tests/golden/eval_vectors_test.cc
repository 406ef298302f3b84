// Metrics against what an independent implementation computed (tests/golden/eval.tar.xz; tools/
// rouge_oracle.py and tools/perplexity_oracle.py).
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "data/json.h"
#include "metrics/rouge_aggregate.h"
#include "prove/perplexity_eval.h"
#include "prove/wikitext.h"

namespace tenon {
namespace {

using data::Json;

constexpr double kTolerance = 1e-6;

Json vectors(const std::string& name) {
  return data::read_json_file(std::string(TENON_GOLDEN_EVAL) + name);
}

void expect_score(const metrics::RougeScore& got, const Json& wanted, const std::string& where) {
  const Json::Array& values = wanted.as_array(where);
  ASSERT_EQ(values.size(), 3u);
  EXPECT_NEAR(got.precision, values[0].as_double(where), kTolerance) << where;
  EXPECT_NEAR(got.recall, values[1].as_double(where), kTolerance) << where;
  EXPECT_NEAR(got.f, values[2].as_double(where), kTolerance) << where;
}

void expect_bounds(const metrics::RougeBounds& got, const Json& wanted, const std::string& where) {
  expect_score(got.low, wanted.at("low", where), where + " low");
  expect_score(got.mid, wanted.at("mid", where), where + " mid");
  expect_score(got.high, wanted.at("high", where), where + " high");
}

void expect_summary(const metrics::RougeSummary& got, const Json& wanted) {
  expect_bounds(got.rouge1, wanted.at("rouge1", "$"), "rouge1");
  expect_bounds(got.rouge2, wanted.at("rouge2", "$"), "rouge2");
  expect_bounds(got.rouge_l, wanted.at("rougeL", "$"), "rougeL");
  expect_bounds(got.rouge_l_sum, wanted.at("rougeLsum", "$"), "rougeLsum");
}

std::vector<metrics::RougeScores> score_pairs(const Json& document, bool stem) {
  std::vector<metrics::RougeScores> scores;
  for (const Json& pair : document.at("pairs", "$").as_array("pairs")) {
    scores.push_back(metrics::rouge(pair.at("text", "$").as_string("text"),
                                    pair.at("reference", "$").as_string("reference"),
                                    {.stem = stem}));
  }
  return scores;
}

TEST(RougeVectors, ScoresAndBootstrap) {
  Json document = vectors("rouge.json");
  for (bool stem : {false, true}) {
    const Json& wanted = document.at(stem ? "stemmed" : "plain", "$");
    std::vector<metrics::RougeScores> scores = score_pairs(document, stem);
    const Json::Array& list = wanted.at("scores", "$").as_array("scores");
    ASSERT_EQ(list.size(), scores.size());
    ASSERT_EQ(list.size(), 100u);
    for (size_t i = 0; i < list.size(); ++i) {
      std::string where = "pair " + std::to_string(i) + (stem ? " stemmed" : "");
      expect_score(scores[i].rouge1, list[i].at("rouge1", where), where + " rouge1");
      expect_score(scores[i].rouge2, list[i].at("rouge2", where), where + " rouge2");
      expect_score(scores[i].rouge_l, list[i].at("rougeL", where), where + " rougeL");
      expect_score(scores[i].rouge_l_sum, list[i].at("rougeLsum", where), where + " rougeLsum");
    }
    expect_summary(metrics::summarize_rouge(scores), wanted.at("bootstrap", "$"));
  }
}

TEST(RougeVectors, AnotherSeedAndCount) {
  Json document = vectors("rouge.json");
  const Json& some = document.at("twenty", "$");
  std::vector<metrics::RougeScores> scores = score_pairs(document, false);
  auto first = static_cast<size_t>(some.get_int("first", 0));
  auto count = static_cast<size_t>(some.get_int("count", 0));
  auto seed = static_cast<uint32_t>(some.get_int("seed", 0));
  expect_summary(metrics::summarize_rouge(std::span(scores).subspan(first, count), {.seed = seed}),
                 some.at("bootstrap", "$"));
}

std::vector<int32_t> ids_of(const Json& list) {
  std::vector<int32_t> ids;
  for (const Json& id : list.as_array("ids")) ids.push_back(static_cast<int32_t>(id.as_int("ids")));
  return ids;
}

// The oracle's formula, in pieces of `piece` positions.
prove::ForcedLogits formula(int64_t vocabulary, int64_t piece) {
  return [=](std::span<const int32_t> ids, const llm::LogitsCallback& callback) {
    for (int64_t first = 0; first < static_cast<int64_t>(ids.size()); first += piece) {
      int64_t rows = std::min<int64_t>(piece, static_cast<int64_t>(ids.size()) - first);
      Tensor logits = Tensor::make(DType::F32, {rows, vocabulary});
      for (int64_t row = 0; row < rows; ++row) {
        int64_t i = first + row;
        double before = i > 0 ? ids[i - 1] : 0;
        for (int64_t n = 0; n < vocabulary; ++n) {
          double angle = 12.9898 * ids[i] + 78.233 * static_cast<double>(n) +
                         0.37 * static_cast<double>(i) + 0.11 * before;
          logits.as<float>()[row * vocabulary + n] = static_cast<float>(3 * std::sin(angle));
        }
      }
      callback(first, logits);
    }
  };
}

class Perplexity : public ::testing::TestWithParam<int64_t> {
 protected:
  Json document_ = vectors("perplexity.json");
  prove::ForcedLogits forced_ = formula(document_.get_int("vocabulary", 0), GetParam());
  StderrProgress quiet_{ProgressStyle::Quiet};

  prove::PerplexityEval run(const prove::PerplexityTask& task) {
    return prove::evaluate_perplexity(task, forced_, quiet_);
  }
  static void expect_figure(double got, const Json& wanted, const char* name) {
    EXPECT_NEAR(got / wanted.at(name, "$").as_double(name), 1, kTolerance) << name;
  }
};

TEST_P(Perplexity, OfTheGptqConvention) {
  for (const Json& wanted : document_.at("gptq", "$").as_array("gptq")) {
    prove::PerplexityTask task;
    task.window = wanted.get_int("window", 0);
    task.texts.push_back({.ids = ids_of(document_.at("ids", "$"))});
    prove::PerplexityEval eval = run(task);
    expect_figure(eval.perplexity, wanted, "perplexity");
    EXPECT_EQ(eval.windows, wanted.get_int("windows", 0));
    EXPECT_EQ(eval.tokens, eval.windows * (task.window - 1));
    EXPECT_EQ(eval.dropped, 200 % task.window);
  }
}

TEST_P(Perplexity, OfTheHarness) {
  for (const Json& wanted : document_.at("lm_eval", "$").as_array("lm_eval")) {
    prove::PerplexityTask task;
    task.convention = prove::PerplexityConvention::LmEval;
    task.window = wanted.get_int("window", 0);
    task.prefix = static_cast<int32_t>(wanted.get_int("prefix", 0));
    for (const Json& page : document_.at("pages", "$").as_array("pages")) {
      const std::string& text = page.at("text", "$").as_string("text");
      task.texts.push_back({.ids = ids_of(page.at("ids", "$")),
                            .words = prove::count_words(text),
                            .bytes = static_cast<int64_t>(text.size())});
    }
    prove::PerplexityEval eval = run(task);
    EXPECT_EQ(eval.tokens, wanted.get_int("tokens", 0));
    EXPECT_EQ(eval.words, wanted.get_int("words", 0));
    EXPECT_EQ(eval.bytes, wanted.get_int("bytes", 0));
    expect_figure(eval.perplexity, wanted, "perplexity");
    expect_figure(eval.word_perplexity, wanted, "word_perplexity");
    expect_figure(eval.byte_perplexity, wanted, "byte_perplexity");
    expect_figure(eval.bits_per_byte, wanted, "bits_per_byte");
  }
}

TEST_P(Perplexity, OfDocuments) {
  prove::PerplexityTask task;
  task.convention = prove::PerplexityConvention::Document;
  for (const Json& text : document_.at("texts", "$").as_array("texts")) {
    task.texts.push_back({.ids = ids_of(text)});
  }
  prove::PerplexityEval eval = run(task);
  EXPECT_EQ(eval.tokens, document_.at("document", "$").get_int("tokens", 0));
  expect_figure(eval.perplexity, document_.at("document", "$"), "perplexity");
}

INSTANTIATE_TEST_SUITE_P(Pieces, Perplexity, ::testing::Values(1, 7, 1000));

TEST(Wikitext, DetokenisedAndCountedAsTheHarnessDoes) {
  Json document = vectors("perplexity.json");
  const Json::Array& pages = document.at("wikitext", "$").as_array("wikitext");
  EXPECT_EQ(pages.size(), 15u);
  for (const Json& page : pages) {
    const std::string& text = page.at("page", "$").as_string("page");
    EXPECT_EQ(prove::detokenise_wikitext(text), page.at("detokenised", "$").as_string("$"));
    EXPECT_EQ(prove::count_words(text), page.get_int("words", -1)) << text;
  }
}

}  // namespace
}  // namespace tenon
