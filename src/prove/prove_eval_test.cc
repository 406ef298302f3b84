#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "prove/kld_eval.h"
#include "prove/rouge_eval.h"
#include "prove/summarize.h"
#include "prove/text_data.h"

namespace tenon::prove {
namespace {

class ProveEval : public ::testing::Test {
 protected:
  ProveEval() {
    char pattern[] = "/tmp/tenon-prove-test-XXXXXX";
    folder_ = mkdtemp(pattern);
  }
  ~ProveEval() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }
  template <class Work>
  static std::string error_of(Work work) {
    try {
      work();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  std::string folder_;
  StderrProgress quiet_{ProgressStyle::Quiet};
};

TEST_F(ProveEval, ArticlesOfAFile) {
  std::string path = write("a.jsonl",
                           "{\"id\": \"x\", \"article\": \"A\", \"highlights\": \"h\"}\n\n"
                           "{\"id\": 7, \"article\": \"B\", \"highlights\": \"i\"}\r\n");
  std::vector<Article> articles = read_articles(path, 0);
  ASSERT_EQ(articles.size(), 2u);
  EXPECT_EQ(articles[1].id, "7");
  EXPECT_EQ(articles[1].article, "B");
  EXPECT_EQ(read_articles(path, 1).size(), 1u);
}

TEST_F(ProveEval, EveryWrongLineIsNamed) {
  std::string path =
      write("a.jsonl",
            "{\"article\": \"A\"}\nnot json\n{\"article\": 3, \"highlights\": \"\"}\n"
            "{\"article\": \"A\", \"highlights\": \"h\"}\n");
  std::string error = error_of([&] { read_articles(path, 0); });
  for (const char* line : {"line 1", "line 2", "line 3", "highlights"}) {
    EXPECT_NE(error.find(line), error.npos) << error;
  }
  EXPECT_EQ(error.find("line 4"), error.npos) << error;
  EXPECT_NE(error_of([&] { read_articles(write("b", "\n \n"), 0); }).find("no article"),
            std::string::npos);
}

TEST_F(ProveEval, OutputsGoByIdOrByOrder) {
  std::vector<Article> articles = {{"a", "", ""}, {"b", "", ""}};
  std::string by_id = write("i", "{\"id\":\"b\",\"text\":\"2\"}\n{\"id\":\"a\",\"text\":\"1\"}\n");
  EXPECT_EQ(read_outputs(by_id, articles), (std::vector<std::string>{"1", "2"}));
  std::string in_order = write("o", "{\"summary\":\"1\"}\n{\"summary\":\"2\"}\n{\"text\":\"3\"}\n");
  EXPECT_EQ(read_outputs(in_order, articles), (std::vector<std::string>{"1", "2"}));
  articles.push_back({"c", "", ""});
  EXPECT_NE(error_of([&] { read_outputs(by_id, articles); }).find("the id c"), std::string::npos);
  articles.push_back({"", "", ""});
  EXPECT_NE(error_of([&] { read_outputs(in_order, articles); }).find("article 4"),
            std::string::npos);
}

TEST_F(ProveEval, Texts) {
  EXPECT_EQ(read_texts(write("t.txt", "a\n{b\n")), (std::vector<std::string>{"a\n{b\n"}));
  EXPECT_EQ(read_texts(write("t.jsonl", "{\"text\":\"a\"}\n{\"page\":\"b\"}\n{\"text\":\"\"}\n")),
            (std::vector<std::string>{"a", "b"}));
  EXPECT_NE(error_of([&] { read_texts(write("u.txt", "\xff")); }).find("UTF-8"), std::string::npos);
  EXPECT_NE(error_of([&] { read_texts(write("e.txt", "")); }).find("no text"), std::string::npos);
}

TEST_F(ProveEval, StripIsPythons) {
  EXPECT_EQ(strip_white_space("\xC2\xA0\t a b\xE3\x80\x80\x1f\n"), "a b");
  EXPECT_EQ(strip_white_space(" \xE2\x80\xA8 "), "");
  EXPECT_EQ(strip_white_space("\xE2\x80\x8B"), "\xE2\x80\x8B");  // zero width: no white space
}

TEST_F(ProveEval, PromptOfTheProtocol) {
  EXPECT_EQ(summary_prompt(" It was n't me , did n't I say ?\n"),
            "It wasn't me , didn't I say ?\n TL;DR:");
  EXPECT_EQ(summary_prompt(""), "TL;DR:");
}

TEST_F(ProveEval, RougeBudgets) {
  std::vector<Article> articles = {{"", "", "one two three four"}, {"", "", "five six seven"}};
  std::vector<std::string> good = {"one two three four", "five six seven "};
  std::vector<std::string> bad = {"one two three four", "no words of it"};
  RougeEval same = evaluate_rouge(articles, good, good, {});
  EXPECT_TRUE(same.failures.empty());
  EXPECT_EQ(same.identical, 2);
  EXPECT_NEAR(same.gold.rouge_l_sum.mid.f, 1, 1e-12);
  EXPECT_NEAR(same.agreement->rouge2.low.f, 1, 1e-12);

  RougeEval worse = evaluate_rouge(articles, bad, good, {});
  ASSERT_EQ(worse.failures.size(), 1u);
  EXPECT_NE(worse.failures[0].find("points below the original's, budget at most 1"),
            std::string::npos);
  EXPECT_EQ(worse.identical, 1);
  EXPECT_TRUE(evaluate_rouge(articles, bad, good, {.max_drop = 60}).failures.empty());
  // Better than the original is no drop.
  EXPECT_TRUE(evaluate_rouge(articles, good, bad, {.max_drop = 0}).failures.empty());
  EXPECT_EQ(evaluate_rouge(articles, bad, {}, {.min_rouge1 = 60}).failures.size(), 1u);
  EXPECT_FALSE(
      to_json(evaluate_rouge(articles, bad, {}, {.min_rouge1 = 60})).get_bool("passed", true));
}

// Gives each position the logits of its id, in pieces of two.
ForcedLogits table(std::vector<std::vector<float>> rows) {
  return [rows](std::span<const int32_t> ids, const llm::LogitsCallback& callback) {
    auto columns = static_cast<int64_t>(rows[0].size());
    for (size_t first = 0; first < ids.size(); first += 2) {
      size_t count = std::min<size_t>(2, ids.size() - first);
      Tensor logits = Tensor::make(DType::F32, {static_cast<int64_t>(count), columns});
      for (size_t i = 0; i < count; ++i) {
        std::copy(rows[ids[first + i]].begin(), rows[ids[first + i]].end(),
                  logits.as<float>() + static_cast<int64_t>(i) * columns);
      }
      callback(static_cast<int64_t>(first), logits);
    }
  };
}

TEST_F(ProveEval, KldOfHandWorkedRows) {
  float third = std::log(3.0f);
  // Position of id 0: (1/2, 1/2) against (1/4, 3/4); of id 1: equal.
  ForcedLogits reference = table({{0, 0}, {0, third}}), plan = table({{0, third}, {0, third}});
  KldTask task{.texts = {{0, 1, 0}, {1}}, .window = 2};
  KldEval eval = evaluate_kld(task, plan, reference, quiet_);
  double kld = 0.5 * std::log(2.0) + 0.5 * std::log(2.0 / 3);
  EXPECT_EQ(eval.windows, 3);
  EXPECT_EQ(eval.kld.rows, 4);
  EXPECT_NEAR(eval.kld.mean, kld / 2, 1e-7);
  EXPECT_NEAR(eval.kld.p99, kld, 1e-7);
  EXPECT_NEAR(eval.kld.median, 0, 1e-12);
  // Only the first window has a next token, id 1 after id 0: 3/4 instead of 1/2.
  EXPECT_EQ(eval.tokens, 1);
  EXPECT_NEAR(eval.perplexity, 4.0 / 3, 1e-6);
  EXPECT_NEAR(eval.reference_perplexity, 2, 1e-6);
  EXPECT_NEAR(eval.rms_probability_change, 0.25, 1e-6);
  task.most_windows = 1;
  EXPECT_EQ(evaluate_kld(task, plan, reference, quiet_).kld.rows, 2);
  EXPECT_THROW(evaluate_kld({}, plan, reference, quiet_), Error);
}

TEST_F(ProveEval, PerplexityRefusesWhatItCannotSay) {
  ForcedLogits any = table({{0, 0}, {0, 0}});
  PerplexityTask task;
  task.window = 4;
  task.texts.push_back({.ids = {0, 1, 0}});
  EXPECT_NE(error_of([&] { evaluate_perplexity(task, any, quiet_); }).find("one window"),
            std::string::npos);
  task.convention = PerplexityConvention::Document;
  task.window = 2;
  EXPECT_NE(error_of([&] { evaluate_perplexity(task, any, quiet_); }).find("text 1"),
            std::string::npos);
  task.convention = PerplexityConvention::LmEval;
  task.most_windows = 1;
  EXPECT_NE(error_of([&] { evaluate_perplexity(task, any, quiet_); }).find("whole pages"),
            std::string::npos);
}

}  // namespace
}  // namespace tenon::prove
