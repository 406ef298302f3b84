#include "pipelines/llm/request.h"

#include <gmock/gmock.h>

#include <limits>

#include "base/error.h"

namespace tenon::llm {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string problem_of(const SamplingParams& params) {
  try {
    params.validate();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Usage);
    return error.what();
  }
  return "";
}

TEST(SamplingParams, DefaultsAreGreedyAndValid) {
  SamplingParams params;
  EXPECT_EQ(params.temperature, 0);
  EXPECT_EQ(problem_of(params), "");
}

TEST(SamplingParams, ListsEveryProblemAtOnce) {
  SamplingParams params;
  params.temperature = std::numeric_limits<double>::quiet_NaN();
  params.top_k = -1;
  params.top_p = 1.5;
  params.repetition_penalty = 0;
  params.max_new_tokens = -5;
  params.stop_ids = {-1};
  params.stop_strings = {"", "\xFF"};
  EXPECT_THAT(problem_of(params),
              AllOf(HasSubstr("8 problems"), HasSubstr("temperature"), HasSubstr("top_k"),
                    HasSubstr("top_p"), HasSubstr("repetition_penalty"),
                    HasSubstr("max_new_tokens"), HasSubstr("stop_ids"), HasSubstr("stop_strings")));
}

TEST(SamplingParams, RefusesWhatOverflowsF32) {
  for (double bad : {1e-30, -1.0, 1e30, std::numeric_limits<double>::infinity()}) {
    SamplingParams params;
    params.temperature = bad;
    EXPECT_THAT(problem_of(params), HasSubstr("temperature")) << bad;
  }
  SamplingParams params;
  params.top_p = std::numeric_limits<double>::quiet_NaN();
  params.repetition_penalty = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(problem_of(params), HasSubstr("2 problems"));
}

SamplingParams from(std::string_view json) {
  return SamplingParams::from_generation(data::parse_json(json));
}

TEST(FromGeneration, ReadsAsTransformersDoes) {
  SamplingParams greedy = from(R"({"temperature": 0.7, "top_k": 20, "repetition_penalty": 1.1})");
  EXPECT_EQ(greedy.temperature, 0);
  EXPECT_EQ(greedy.top_k, 0);
  EXPECT_EQ(greedy.repetition_penalty, 1.1);

  SamplingParams sampled =
      from(R"({"do_sample": true, "temperature": 0.7, "top_p": 0.8, "max_new_tokens": 9})");
  EXPECT_EQ(sampled.temperature, 0.7);
  EXPECT_EQ(sampled.top_k, 50);
  EXPECT_EQ(sampled.top_p, 0.8);
  EXPECT_EQ(sampled.max_new_tokens, 9);

  SamplingParams plain = from(R"({"do_sample": true, "top_k": null})");
  EXPECT_EQ(plain.temperature, 1);
  EXPECT_EQ(plain.top_k, 0);
}

TEST(FromGeneration, BlamesThePlanForItsNumbers) {
  try {
    from(R"({"do_sample": true, "top_p": 7})");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadInput);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("generation"), HasSubstr("top_p")));
  }
}

TEST(UnfollowedFields, NamesOnlyThoseThatWouldChangeTheText) {
  EXPECT_THAT(unfollowed_generation_fields(data::parse_json(
                  R"({"num_beams": 4, "min_p": null, "typical_p": 1.0, "bad_words_ids": [],
                      "suppress_tokens": [3], "no_repeat_ngram_size": 0, "top_k": 5})")),
              ElementsAre("num_beams = 4", HasSubstr("suppress_tokens")));
}

TEST(Segment, BorrowsOrOwnsEmbeddings) {
  EXPECT_EQ(Segment::of_ids({1, 2, 3}).tokens(), 3);
  Tensor embeddings = Tensor::make_zeros(DType::F32, {5, 4});
  Segment borrowed = Segment::borrow_embeddings(embeddings);
  EXPECT_EQ(borrowed.embeddings().data, embeddings.view().data);
  Segment owned = Segment::of_embeddings(std::move(embeddings)), copy = owned;
  EXPECT_EQ(copy.tokens(), 5);
  EXPECT_EQ(copy.embeddings().data, owned.embeddings().data);
  EXPECT_THROW(Segment::of_embeddings(Tensor::make_zeros(DType::F16, {5, 4})), Error);
  EXPECT_THROW(Segment::of_embeddings(Tensor::make_zeros(DType::F32, {4})), Error);
}

}  // namespace
}  // namespace tenon::llm
