#include "pipelines/llm/engine.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "pipelines/llm/test_plan.h"

namespace tenon::llm {
namespace {

using testing::AllOf;
using testing::Each;
using testing::FloatNear;
using testing::HasSubstr;
using testing::Pointwise;

SamplingParams greedy(int64_t new_tokens) {
  SamplingParams params;
  params.max_new_tokens = new_tokens;
  params.ignore_eos = true;
  return params;
}

SamplingParams sampled(int64_t new_tokens, uint64_t seed) {
  SamplingParams params = greedy(new_tokens);
  params.temperature = 1.2;
  params.top_k = 30;
  params.top_p = 0.95;
  params.repetition_penalty = 1.1;
  params.seed = seed;
  return params;
}

Request request(std::vector<int32_t> ids, const SamplingParams& params) {
  return {{Segment::of_ids(std::move(ids))}, params};
}

// Requests of many lengths, every second one greedy, one with embeddings in its middle.
std::vector<Request> mixed_requests() {
  std::vector<Request> requests;
  for (int i = 0; i < 12; ++i) {
    std::vector<int32_t> ids;
    for (int t = 0; t < 1 + i * 3 % 17; ++t) ids.push_back((7 * i + 3 * t) % 38);
    requests.push_back(request(ids, i % 2 ? sampled(5 + i, 100 + i) : greedy(4 + i)));
  }
  Tensor embeddings = Tensor::make(DType::F32, {6, kTestHidden});
  for (int64_t i = 0; i < embeddings.count(); ++i) embeddings.as<float>()[i] = std::sin(0.7f * i);
  requests[5].prompt = {Segment::of_ids({1, 2}), Segment::of_embeddings(std::move(embeddings)),
                        Segment::of_ids({3})};
  return requests;
}

std::vector<Result> run_alone(TestModel& model, const std::vector<Request>& requests,
                              bool reference_only) {
  std::vector<Result> results;
  for (const Request& one : requests) {
    results.push_back(model.make_engine({}, reference_only)->generate(one));
  }
  return results;
}

std::vector<Result> run_together(Engine& engine, const std::vector<Request>& requests) {
  std::vector<Result> results(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    engine.submit(requests[i], [&results, i](const Update& update) {
      if (update.result) results[i] = *update.result;
    });
  }
  engine.run_until_done();
  return results;
}

// The same tokens as alone; probabilities as alone to the last bit where `tolerance` is 0.
void expect_as_alone(const EngineOptions& options, bool reference_only, float tolerance) {
  TestModel model;
  std::vector<Request> requests = mixed_requests();
  std::vector<Result> alone = run_alone(model, requests, reference_only);
  std::unique_ptr<Engine> engine = model.make_engine(options, reference_only);
  std::vector<Result> together = run_together(*engine, requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(together[i].ids, alone[i].ids) << "request " << i;
    EXPECT_EQ(together[i].text, alone[i].text) << "request " << i;
    EXPECT_THAT(together[i].logprobs, Pointwise(FloatNear(tolerance), alone[i].logprobs));
    EXPECT_EQ(together[i].ids.size(), static_cast<size_t>(requests[i].sampling.max_new_tokens));
  }
  EXPECT_EQ(engine->stats().free_blocks, engine->stats().blocks);
  EXPECT_EQ(engine->stats().running, 0);
}

class EngineBatch : public testing::TestWithParam<EngineOptions> {};

TEST_P(EngineBatch, EverySequenceGetsExactlyWhatItGetsAlone) {
  expect_as_alone(GetParam(), true, 0);
}

// Fast kernels may sum one row in another order than many rows. Logits here are below 32, so their
// rounding in f32 stays below 2^-19 an operation; 2^-12 leaves room for about a hundred of them.
TEST_P(EngineBatch, OnFastKernelsEverySequenceGetsWhatItGetsAlone) {
  expect_as_alone(GetParam(), false, 0x1p-12f);
}

const EngineOptions kBatchOptions[] = {
    {},
    {.max_batch_size = 3, .block_size = 4, .max_num_tokens = 5},
    {.cache_blocks = 9, .block_size = 5, .max_num_tokens = 16},
    {.max_batch_size = 2, .block_size = 0},
};
INSTANTIATE_TEST_SUITE_P(Options, EngineBatch, testing::ValuesIn(kBatchOptions));

TEST(Engine, SeedsDecideTheDraws) {
  TestModel model;
  std::unique_ptr<Engine> engine = model.make_engine();
  auto ids = [&](uint64_t seed) {
    return engine->generate(request({1, 2, 3}, sampled(12, seed))).ids;
  };
  EXPECT_EQ(ids(1), ids(1));
  EXPECT_NE(ids(1), ids(2));
}

// Greedy decoding by hand from teacher-forced logits gives the same tokens.
TEST(Engine, ForcedLogitsAgreeWithGeneration) {
  TestModel model;
  std::unique_ptr<Engine> engine = model.make_engine({.block_size = 4, .max_num_tokens = 8});
  Result result = engine->generate(request({5, 6, 7, 8, 9, 10, 11, 12, 13}, greedy(10)));
  std::vector<int32_t> text = {5, 6, 7, 8, 9, 10, 11, 12, 13};
  text.insert(text.end(), result.ids.begin(), result.ids.end());

  std::vector<int32_t> best;
  int64_t pieces = 0;
  engine->forced_logits(text, [&](int64_t first, const TensorView& logits) {
    EXPECT_EQ(first, static_cast<int64_t>(best.size()));
    EXPECT_LE(logits.extents[0], 8);
    for (int64_t row = 0; row < logits.extents[0]; ++row) {
      const float* begin = logits.as<const float>() + row * kTestVocabulary;
      best.push_back(
          static_cast<int32_t>(std::max_element(begin, begin + kTestVocabulary) - begin));
    }
    ++pieces;
  });
  EXPECT_EQ(pieces, 3);
  ASSERT_EQ(best.size(), text.size());
  for (size_t i = 0; i < result.ids.size(); ++i) EXPECT_EQ(best[8 + i], result.ids[i]);
  EXPECT_EQ(engine->stats().free_blocks, engine->stats().blocks);
}

TEST(Engine, EmbeddingsOfTheTableAreTheTokensThemselves) {
  TestModel model;
  std::unique_ptr<Engine> engine = model.make_engine();
  TensorView table = model.table();
  Tensor rows = Tensor::make(DType::F32, {2, kTestHidden});
  for (int row = 0; row < 2; ++row) {
    std::memcpy(rows.as<float>() + row * kTestHidden,
                table.as<const float>() + (20 + row) * kTestHidden, kTestHidden * sizeof(float));
  }
  Request mixed = request({4}, greedy(8));
  mixed.prompt.push_back(Segment::borrow_embeddings(rows));
  mixed.prompt.push_back(Segment::of_ids({9}));
  EXPECT_EQ(engine->generate(mixed).ids, engine->generate(request({4, 20, 21, 9}, greedy(8))).ids);
}

TEST(Engine, StreamsTheTextOfTheResult) {
  TestModel model;
  std::unique_ptr<Engine> engine = model.make_engine();
  std::string streamed;
  std::vector<int32_t> ids;
  int ends = 0;
  Result result = engine->generate(request({1, 2}, sampled(40, 3)), [&](const Update& update) {
    streamed += update.text;
    if (update.token) ids.push_back(*update.token);
    ends += update.result != nullptr;
  });
  EXPECT_EQ(streamed, result.text);
  EXPECT_EQ(ids, result.ids);
  EXPECT_EQ(ends, 1);
  EXPECT_EQ(result.text, engine->tokenizer()->decode(result.ids));
  EXPECT_EQ(result.prompt_tokens, 2);
  EXPECT_EQ(result.finish_reason, FinishReason::Length);
  EXPECT_GE(result.timings.total, result.timings.first_token);
  EXPECT_GT(result.timings.first_token, 0);
  EXPECT_THAT(result.logprobs, Each(testing::Le(0.0f)));
}

TEST(Engine, StopsAtIdsAndShowsNothingOfThem) {
  TestModel model;
  std::unique_ptr<Engine> engine = model.make_engine();
  Result whole = engine->generate(request({1, 2}, sampled(20, 3)));
  int32_t stop = whole.ids[7];
  size_t first = std::find(whole.ids.begin(), whole.ids.end(), stop) - whole.ids.begin();
  std::vector<int32_t> before(whole.ids.begin(), whole.ids.begin() + first);

  SamplingParams by_id = sampled(20, 3);
  by_id.stop_ids = {stop};
  Result stopped = engine->generate(request({1, 2}, by_id));
  EXPECT_EQ(stopped.finish_reason, FinishReason::Stop);
  EXPECT_EQ(stopped.ids.size(), first + 1);
  EXPECT_EQ(stopped.text, engine->tokenizer()->decode(before));

  model.plan.generation.set("eos", data::Json::Array{stop});
  SamplingParams by_eos = sampled(20, 3);
  by_eos.ignore_eos = false;
  EXPECT_EQ(model.make_engine()->generate(request({1, 2}, by_eos)).ids, stopped.ids);
  EXPECT_EQ(model.make_engine()->generate(request({1, 2}, sampled(20, 3))).ids, whole.ids);
}

TEST(Engine, StopStringsAreNeverShown) {
  TestModel model;
  std::unique_ptr<Engine> engine = model.make_engine();
  SamplingParams params = sampled(40, 5);
  Result whole = engine->generate(request({1, 2}, params));
  ASSERT_GT(whole.text.size(), 12u);
  params.stop_strings = {whole.text.substr(8, 3), "never there"};
  std::string streamed;
  Result result = engine->generate(request({1, 2}, params),
                                   [&](const Update& update) { streamed += update.text; });
  EXPECT_EQ(result.finish_reason, FinishReason::StopString);
  EXPECT_EQ(result.text, whole.text.substr(0, whole.text.find(params.stop_strings[0])));
  EXPECT_EQ(streamed, result.text);
  EXPECT_LT(result.ids.size(), whole.ids.size());
}

TEST(Engine, CancelsFromACallbackAndFromOutside) {
  TestModel model;
  std::unique_ptr<Engine> engine = model.make_engine({.max_batch_size = 1});
  Result first, waiting;
  RequestId id = 0;
  id = engine->submit(request({1}, greedy(50)), [&](const Update& update) {
    if (update.result)
      first = *update.result;
    else
      engine->cancel(id);
  });
  RequestId second = engine->submit(request({2}, greedy(50)), [&](const Update& update) {
    if (update.result) waiting = *update.result;
  });
  EXPECT_TRUE(engine->step());
  engine->cancel(second);
  engine->cancel(12345);
  engine->run_until_done();
  EXPECT_EQ(first.finish_reason, FinishReason::Cancelled);
  EXPECT_EQ(first.ids.size(), 1u);
  EXPECT_EQ(waiting.finish_reason, FinishReason::Cancelled);
  EXPECT_TRUE(waiting.ids.empty());
  EXPECT_FALSE(engine->step());
}

TEST(Engine, CallbacksMaySubmit) {
  TestModel model;
  std::unique_ptr<Engine> engine = model.make_engine();
  int ended = 0;
  UpdateCallback again = [&](const Update& update) {
    if (update.result && ++ended < 5) engine->submit(request({1, 2}, greedy(3)), again);
  };
  engine->submit(request({1, 2}, greedy(3)), again);
  engine->run_until_done();
  EXPECT_EQ(ended, 5);
}

TEST(Engine, RefusesBadRequestsAndGoesOn) {
  TestModel model;
  std::unique_ptr<Engine> engine = model.make_engine();
  auto refusal = [&](Request bad) -> std::string {
    try {
      engine->submit(std::move(bad));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refusal(request({}, greedy(1))), HasSubstr("empty"));
  EXPECT_THAT(refusal(request({1, 40}, greedy(1))), AllOf(HasSubstr("40"), HasSubstr("0 to 39")));
  EXPECT_THAT(refusal(request({-1}, greedy(1))), HasSubstr("segment 0"));
  EXPECT_THAT(refusal(request({1}, greedy(64))), HasSubstr("max_seq_len 64"));
  Request narrow = request({1}, greedy(1));
  narrow.prompt.push_back(Segment::of_embeddings(Tensor::make_zeros(DType::F32, {2, 5})));
  EXPECT_THAT(refusal(std::move(narrow)), AllOf(HasSubstr("segment 1"), HasSubstr("[2, 5]")));
  EXPECT_EQ(engine->generate(request({1}, greedy(3))).ids.size(), 3u);
}

TEST(Engine, FillsTheSequenceWithoutALimit) {
  TestModel model;
  std::unique_ptr<Engine> engine = model.make_engine({.max_seq_len = 20});
  Result result = engine->generate(request({1, 2, 3}, greedy(0)));
  EXPECT_EQ(result.ids.size(), 17u);
  EXPECT_EQ(result.finish_reason, FinishReason::Length);
}

TEST(Engine, WorksOnIdsWithoutATokenizer) {
  TestModel model;
  model.plan.tokenizer.clear();
  std::unique_ptr<Engine> engine = model.make_engine();
  EXPECT_EQ(engine->tokenizer(), nullptr);
  Result result = engine->generate(request({1}, greedy(3)));
  EXPECT_EQ(result.ids.size(), 3u);
  EXPECT_EQ(result.text, "");
  SamplingParams params = greedy(3);
  params.stop_strings = {"x"};
  EXPECT_THROW(engine->submit(request({1}, params)), Error);
}

TEST(Engine, LogitsObserverSeesWhatIsDrawnFrom) {
  TestModel model;
  std::unique_ptr<Engine> engine = model.make_engine();
  std::vector<int32_t> best;
  engine->set_logits_observer([&](RequestId, std::span<const float> logits) {
    best.push_back(
        static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
  });
  Result result = engine->generate(request({1, 2, 3}, greedy(6)));
  EXPECT_EQ(best, result.ids);
}

TEST(Engine, AFailedStepLosesNothing) {
  TestModel model;
  std::unique_ptr<Engine> engine = model.make_engine();
  std::vector<int32_t> expected = engine->generate(request({1, 2, 3}, sampled(6, 9))).ids, ids;
  engine->submit(request({1, 2, 3}, sampled(6, 9)), [&](const Update& update) {
    if (update.result) ids = update.result->ids;
  });
  int calls = 0;
  engine->set_logits_observer([&](RequestId, std::span<const float>) {
    if (++calls == 3) throw Error(ErrorCode::DeviceFault, "test");
  });
  EXPECT_THROW(engine->run_until_done(), Error);
  engine->run_until_done();
  EXPECT_EQ(ids, expected);
}

TEST(Engine, LogitsThatAreNoNumbersEndTheirRequestOnly) {
  TestModel model;
  constexpr int32_t kPoisoned = 37;
  model.table().as<float>()[kPoisoned * kTestHidden] = NAN;
  std::unique_ptr<Engine> engine = model.make_engine();
  std::vector<int32_t> expected = engine->generate(request({1, 2}, greedy(5))).ids;
  std::vector<Result> results(2);
  for (int i = 0; i < 2; ++i) {
    engine->submit(request({1, i == 0 ? 2 : kPoisoned}, greedy(5)), [&, i](const Update& update) {
      if (update.result) results[i] = *update.result;
    });
  }
  try {
    engine->run_until_done();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::DeviceFault);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("request 3"), HasSubstr("not numbers")));
  }
  engine->run_until_done();
  EXPECT_EQ(results[0].ids, expected);
  EXPECT_EQ(results[1].finish_reason, FinishReason::Cancelled);
  EXPECT_TRUE(results[1].ids.empty());

  Request infinite = request({1}, greedy(1));
  Tensor embeddings = Tensor::make_zeros(DType::F32, {2, kTestHidden});
  embeddings.as<float>()[kTestHidden] = INFINITY;
  infinite.prompt.push_back(Segment::of_embeddings(std::move(embeddings)));
  EXPECT_THROW(engine->submit(infinite), Error);
}

TEST(EngineOptions, ComeFromThePlanAndAreChecked) {
  TestModel model;
  std::unique_ptr<Engine> engine = model.make_engine();
  EXPECT_EQ(engine->options().max_batch_size, 8);
  EXPECT_EQ(engine->options().max_seq_len, 64);
  EXPECT_EQ(engine->options().cache_blocks, 8 * 4);
  EXPECT_EQ(engine->options().max_num_tokens, 64);  // the stage's own limit
  // One block of 16 positions: K and V, 2 heads of 4, f32.
  EXPECT_EQ(model.make_engine({.cache_bytes = 5000})->options().cache_blocks, 5000 / 1024);
  EXPECT_EQ(model.make_engine({.max_batch_size = 2, .block_size = 0})->options().cache_blocks, 2);
  EXPECT_THROW(model.make_engine({.cache_bytes = 100}), Error);
  EXPECT_THROW(model.make_engine({.cache_bytes = 5000, .cache_blocks = 3}), Error);
  try {
    model.make_engine({.max_batch_size = 9, .max_seq_len = 65});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("2 problems"), HasSubstr("1 to 8")));
  }
}

TEST(EngineOptions, RefuseAStageThatIsNoLanguageGraph) {
  TestModel model;
  model.plan.stages[0].values[model.plan.stages[0].inputs[2]].names = {"position_ids"};
  try {
    model.make_engine();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::WrongPlan);
    EXPECT_THAT(error.what(), HasSubstr("position_ids"));
  }
}

}  // namespace
}  // namespace tenon::llm
