#include <gmock/gmock.h>

#include "capi/capi_test_plan.h"
#include "tenon/tenon.hpp"

namespace {

using testing::HasSubstr;

tenon::Sampling greedy(int64_t new_tokens) {
  tenon::Sampling sampling;
  sampling.max_new_tokens = new_tokens;
  sampling.ignore_eos = true;
  return sampling;
}

TEST(CppApi, GeneratesAndStreams) {
  TestPlanFile file;
  tenon::Plan plan(file.path());
  tenon::Llm llm(plan);
  std::string streamed;
  tenon::Result result = llm.generate("the cab", greedy(6), [&](const tenon::Update& update) {
    streamed += update.text;
    return true;
  });
  EXPECT_EQ(result.text, streamed);
  EXPECT_EQ(result.ids.size(), 6u);
  EXPECT_EQ(result.logprobs.size(), 6u);
  EXPECT_EQ(plan.detokenize(result.ids), result.text);
  EXPECT_EQ(llm.generate({tenon::Segment::ids(plan.tokenize("the cab"))}, greedy(6)).ids,
            result.ids);
  EXPECT_EQ(llm.default_sampling().max_new_tokens, 7);
  EXPECT_THAT(plan.info_json(), HasSubstr("decoder"));
}

TEST(CppApi, ErrorsAreExceptions) {
  try {
    tenon::Plan plan("/dev");
    FAIL();
  } catch (const tenon::Error& error) {
    EXPECT_EQ(error.code(), TENON_BAD_INPUT);
    EXPECT_THAT(error.where(), HasSubstr("/dev"));
  }
  TestPlanFile file;
  tenon::Plan plan(file.path());
  tenon::Llm llm(plan);
  std::vector<tenon::Segment> nothing;
  EXPECT_THROW(llm.generate(nothing, greedy(1)), tenon::Error);
  EXPECT_THROW(tenon::Segment::embeddings({1, 2, 3}, 2), tenon::Error);
}

TEST(CppApi, AnExceptionOfACallbackComesOut) {
  TestPlanFile file;
  tenon::Llm llm{tenon::Plan(file.path())};
  auto faulty = [](const tenon::Update&) -> bool { throw std::runtime_error("mine"); };
  EXPECT_THROW(llm.generate("a", greedy(6), faulty), std::runtime_error);
  llm.submit({tenon::Segment::text("a")}, greedy(6), faulty);
  EXPECT_THROW(llm.step(), std::runtime_error);
  while (llm.step()) {
  }
  EXPECT_EQ(llm.generate("a", greedy(3)).ids.size(), 3u);
}

TEST(CppApi, SubmittedRequestsKeepTheirEmbeddings) {
  TestPlanFile file;
  tenon::Llm llm{tenon::Plan(file.path())};
  std::vector<std::vector<int32_t>> ids(4);
  for (size_t i = 0; i < ids.size(); ++i) {
    std::vector<float> rows(2 * kPlanHidden, 0.25f);
    llm.submit({tenon::Segment::embeddings(rows, kPlanHidden)}, greedy(5),
               [&ids, i](const tenon::Update& update) {
                 if (update.result) ids[i] = update.result->ids;
                 return true;
               });
  }
  while (llm.step()) {
  }
  EXPECT_EQ(ids[0].size(), 5u);
  for (const auto& other : ids) EXPECT_EQ(other, ids[0]);
}

TEST(CppApi, ReturningFalseCancels) {
  TestPlanFile file;
  tenon::Llm llm{tenon::Plan(file.path())};
  tenon::Result result = llm.generate("a", greedy(6), [](const tenon::Update&) { return false; });
  EXPECT_EQ(result.finish_reason, TENON_FINISH_CANCELLED);
  EXPECT_EQ(result.ids.size(), 1u);
}

}  // namespace
