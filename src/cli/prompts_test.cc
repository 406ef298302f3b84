#include "cli/prompts.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "cli/sampling_options.h"

namespace tenon::cli {
namespace {

std::vector<Prompt> read(const std::string& content) {
  char path[] = "/tmp/tenon-prompts-XXXXXX";
  close(mkstemp(path));
  std::ofstream(path) << content;
  try {
    std::vector<Prompt> prompts = read_prompts(path);
    unlink(path);
    return prompts;
  } catch (...) {
    unlink(path);
    throw;
  }
}

TEST(Prompts, LinesAndJson) {
  std::vector<Prompt> prompts = read(
      "one\r\n\n  \n{\"prompt\": \"a\\nb\"}\n{\"ids\": [3, 4]}\n{\"article\": \"x\", \"id\": 1}");
  ASSERT_EQ(prompts.size(), 4u);
  EXPECT_EQ(prompts[0].text, "one");
  EXPECT_EQ(prompts[1].text, "a\nb");
  EXPECT_EQ(prompts[2].ids, (std::vector<int32_t>{3, 4}));
  EXPECT_EQ(prompts[3].text, "x");
}

TEST(Prompts, ErrorsNameTheLine) {
  for (const char* bad : {"ok\n{", "ok\n{}", "ok\n{\"ids\": []}", "ok\n{\"ids\": [9999999999]}",
                          "ok\n{\"prompt\": 1}", "ok\ncaf\xE9"}) {
    try {
      read(bad);
      FAIL() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::BadInput);
      EXPECT_NE(error.place().find("line 2"), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(read(" \n"), Error);
}

TEST(Prompts, TextNeedsATokenizer) {
  std::vector<Prompt> ids = {{.text = "", .ids = {1}}}, text = {{.text = "a", .ids = {}}};
  EXPECT_NO_THROW(encode_prompts(ids, nullptr, "suffix"));
  EXPECT_THROW(encode_prompts(text, nullptr, ""), Error);
}

TEST(Sampling, OnlyWhatWasGivenReplacesThePlan) {
  llm::SamplingParams plan;
  plan.temperature = 0.7;
  plan.top_k = 50;
  plan.stop_ids = {2};
  SamplingOptions options;
  options.top_p = 0.5;
  options.stop_ids = {9};
  llm::SamplingParams merged = merge_sampling(plan, options, 1000);
  EXPECT_EQ(merged.temperature, 0.7);
  EXPECT_EQ(merged.top_k, 50);
  EXPECT_EQ(merged.top_p, 0.5);
  EXPECT_EQ(merged.stop_ids, (std::vector<int32_t>{2, 9}));
  EXPECT_EQ(merged.max_new_tokens, kDefaultNewTokens);
  options.greedy = true;
  EXPECT_EQ(merge_sampling(plan, options, 1000).temperature, 0);
}

TEST(Sampling, DefaultLengthIsCutToTheRoomAndAGivenOneIsNot) {
  llm::SamplingParams plan;
  SamplingOptions options;
  EXPECT_EQ(merge_sampling(plan, options, 10).max_new_tokens, 10);
  plan.max_new_tokens = 60;
  EXPECT_EQ(merge_sampling(plan, options, 1000).max_new_tokens, 60);
  // Never 0, which would mean "as many as fit": the engine refuses a prompt without room.
  EXPECT_EQ(merge_sampling(plan, options, -5).max_new_tokens, 1);
  options.max_new_tokens = 500;
  EXPECT_EQ(merge_sampling(plan, options, 10).max_new_tokens, 500);
}

}  // namespace
}  // namespace tenon::cli
