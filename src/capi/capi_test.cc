#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "capi/capi_test_plan.h"
#include "tenon/tenon.h"

namespace {

using testing::AllOf;
using testing::HasSubstr;

// The message of a call that must fail with `code`: call(tenon_error**) -> tenon_code.
template <class Call>
std::string message_of(tenon_code expected, Call&& call) {
  tenon_error* error = nullptr;
  EXPECT_EQ(call(&error), expected);
  if (!error) {
    ADD_FAILURE() << "no error was reported";
    return "";
  }
  EXPECT_EQ(tenon_error_code(error), expected);
  std::string message = tenon_error_message(error);
  tenon_error_free(error);
  return message;
}

class CapiTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(tenon_plan_open(file_.path().c_str(), &plan_, nullptr), TENON_OK);
    ASSERT_EQ(tenon_llm_create(plan_, nullptr, &llm_, nullptr), TENON_OK);
    sampling_.max_new_tokens = 6;
    sampling_.ignore_eos = 1;
  }
  void TearDown() override {
    tenon_llm_destroy(llm_);
    tenon_plan_close(plan_);
  }
  std::vector<int32_t> generate(const std::vector<tenon_segment>& segments) {
    tenon_result* result = nullptr;
    tenon_error* error = nullptr;
    EXPECT_EQ(tenon_llm_generate(llm_, segments.data(), segments.size(), &sampling_, nullptr,
                                 nullptr, &result, &error),
              TENON_OK)
        << tenon_error_message(error);
    size_t count = 0;
    const int32_t* ids = tenon_result_ids(result, &count);
    std::vector<int32_t> copy(ids, ids + count);
    tenon_result_free(result);
    return copy;
  }
  std::string refusal(const tenon_segment& segment, tenon_code code) {
    return message_of(code, [&](tenon_error** error) {
      return tenon_llm_generate(llm_, &segment, 1, &sampling_, nullptr, nullptr, nullptr, error);
    });
  }

  TestPlanFile file_;
  tenon_plan* plan_ = nullptr;
  tenon_llm* llm_ = nullptr;
  tenon_sampling sampling_ = TENON_SAMPLING_GREEDY;
};

tenon_segment ids_segment(const std::vector<int32_t>& ids) {
  return {TENON_SEGMENT_IDS, 0, ids.data(), ids.size(), 0};
}
tenon_segment text_segment(const char* text, uint32_t flags = TENON_TEXT_ADD_SPECIAL) {
  return {TENON_SEGMENT_TEXT, flags, text, std::strlen(text), 0};
}

TEST(Capi, TellsItsVersions) {
  EXPECT_EQ(tenon_abi_version(), TENON_ABI_VERSION);
  EXPECT_STREQ(tenon_version(), TENON_VERSION);
  EXPECT_STREQ(tenon_code_name(TENON_OK), "ok");
  EXPECT_STREQ(tenon_code_name(TENON_WRONG_PLAN), "wrong_plan");
}

TEST(Capi, ErrorsSayWhereAndWhatToDo) {
  tenon_plan* plan = nullptr;
  tenon_error* error = nullptr;
  // A folder, so no plan.
  tenon_code code = tenon_plan_open("/dev", &plan, &error);
  EXPECT_EQ(plan, nullptr);
  EXPECT_EQ(code, TENON_BAD_INPUT);
  ASSERT_NE(error, nullptr);
  EXPECT_THAT(tenon_error_where(error), HasSubstr("/dev"));
  EXPECT_STRNE(tenon_error_problem(error), "");
  tenon_error_free(error);
  // Without a place for the error the code alone tells.
  EXPECT_EQ(tenon_plan_open("/dev", &plan, nullptr), TENON_BAD_INPUT);
}

TEST(Capi, NullIsAnErrorOrNothing) {
  auto open_nothing = [](tenon_error** error) { return tenon_plan_open(nullptr, nullptr, error); };
  EXPECT_THAT(message_of(TENON_USAGE, open_nothing), HasSubstr("plan"));
  EXPECT_EQ(tenon_llm_create(nullptr, nullptr, nullptr, nullptr), TENON_USAGE);
  EXPECT_EQ(tenon_llm_step(nullptr, nullptr, nullptr), TENON_USAGE);
  EXPECT_EQ(tenon_error_code(nullptr), TENON_OK);
  EXPECT_STREQ(tenon_error_fix(nullptr), "");
  EXPECT_STREQ(tenon_result_text(nullptr, nullptr), "");
  tenon_error_free(nullptr);
  tenon_plan_close(nullptr);
  tenon_llm_destroy(nullptr);
  tenon_result_free(nullptr);
  tenon_free(nullptr);
}

TEST_F(CapiTest, InfoIsJson) {
  char* json = nullptr;
  ASSERT_EQ(tenon_plan_info_json(plan_, &json, nullptr), TENON_OK);
  EXPECT_THAT(json, AllOf(HasSubstr("\"pipeline\": \"llm\""), HasSubstr("\"decoder\""),
                          HasSubstr("\"vocabulary\": 40"), HasSubstr("\"seq_offsets\"")));
  tenon_free(json);
}

TEST_F(CapiTest, TokenizesBothWays) {
  int32_t* ids = nullptr;
  size_t count = 0;
  ASSERT_EQ(tenon_tokenize(plan_, "the cab", 7, TENON_TEXT_ADD_SPECIAL, &ids, &count, nullptr),
            TENON_OK);
  EXPECT_THAT(std::vector<int32_t>(ids, ids + count), testing::ElementsAre(31, 34, 26, 2, 0, 1));
  char* text = nullptr;
  size_t bytes = 0;
  ASSERT_EQ(tenon_detokenize(plan_, ids, count, &text, &bytes, nullptr), TENON_OK);
  EXPECT_EQ(std::string(text, bytes), "the cab");
  tenon_free(text);
  tenon_free(ids);
  tenon_error* error = nullptr;
  EXPECT_EQ(tenon_tokenize(plan_, "x", 1, 64, &ids, &count, &error), TENON_UNSUPPORTED);
  EXPECT_EQ(ids, nullptr);
  tenon_error_free(error);
}

TEST_F(CapiTest, SpecialTokensInTextAreTextUnlessAsked) {
  auto count_of = [&](uint32_t flags) {
    int32_t* ids = nullptr;
    size_t count = 0;
    EXPECT_EQ(tenon_tokenize(plan_, "<eos>", 5, flags, &ids, &count, nullptr), TENON_OK);
    tenon_free(ids);
    return count;
  };
  EXPECT_EQ(count_of(TENON_TEXT_PARSE_SPECIAL), 1u);
  EXPECT_NE(count_of(0), 1u);
}

TEST_F(CapiTest, StreamsAndReturnsTheSameText) {
  struct Seen {
    std::string text;
    int tokens = 0, results = 0;
  } seen;
  auto on_update = [](void* user, const tenon_update* update) -> int32_t {
    auto* out = static_cast<Seen*>(user);
    out->text.append(update->text, update->text_bytes);
    out->tokens += update->token >= 0;
    out->results += update->result != nullptr;
    return 0;
  };
  tenon_segment prompt = text_segment("the cab");
  tenon_result* result = nullptr;
  ASSERT_EQ(tenon_llm_generate(llm_, &prompt, 1, &sampling_, on_update, &seen, &result, nullptr),
            TENON_OK);
  size_t bytes = 0, ids = 0, logprobs = 0;
  EXPECT_EQ(seen.text, tenon_result_text(result, &bytes));
  EXPECT_EQ(seen.text.size(), bytes);
  tenon_result_ids(result, &ids);
  tenon_result_logprobs(result, &logprobs);
  EXPECT_EQ(ids, 6u);
  EXPECT_EQ(logprobs, 6u);
  EXPECT_EQ(seen.tokens, 6);
  EXPECT_EQ(seen.results, 1);
  EXPECT_EQ(tenon_result_finish_reason(result), TENON_FINISH_LENGTH);
  EXPECT_EQ(tenon_result_prompt_tokens(result), 6);
  double total = 0;
  tenon_result_seconds(result, nullptr, nullptr, &total);
  EXPECT_GT(total, 0);
  tenon_result_free(result);
}

TEST_F(CapiTest, TextAndIdsAreTheSamePrompt) {
  std::vector<int32_t> tail = {34, 26};
  EXPECT_EQ(generate({text_segment("cab"), ids_segment(tail)}),
            generate({text_segment("cabthe ")}));
}

TEST_F(CapiTest, EmbeddingsTakePartInThePrompt) {
  std::vector<float> rows(3 * kPlanHidden);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = std::sin(static_cast<float>(i));
  tenon_segment image = {TENON_SEGMENT_EMBEDDINGS, 0, rows.data(), 3, kPlanHidden};
  std::vector<int32_t> ids = {1, 2};
  EXPECT_EQ(generate({ids_segment(ids), image}).size(), 6u);
  image.width = kPlanHidden / 2;
  EXPECT_THAT(refusal(image, TENON_BAD_INPUT), HasSubstr("width"));
}

TEST_F(CapiTest, RefusesBadRequests) {
  std::vector<int32_t> outside = {99};
  EXPECT_THAT(refusal(ids_segment(outside), TENON_BAD_INPUT), HasSubstr("99"));
  EXPECT_THAT(refusal({7, 0, "x", 1, 0}, TENON_USAGE), HasSubstr("segment 0"));
  EXPECT_THAT(refusal({TENON_SEGMENT_IDS, 0, nullptr, 1, 0}, TENON_USAGE), HasSubstr("NULL"));
  sampling_.temperature = NAN;
  EXPECT_THAT(refusal(text_segment("a"), TENON_USAGE), HasSubstr("temperature"));
}

TEST_F(CapiTest, StructSizesGuardAgainstOtherVersions) {
  tenon_segment prompt = text_segment("a");
  sampling_.struct_size = 8;
  EXPECT_THAT(refusal(prompt, TENON_USAGE), HasSubstr("struct_size"));

  struct {
    tenon_sampling known = TENON_SAMPLING_GREEDY;
    int64_t added = 0;
  } newer;
  newer.known.struct_size = sizeof(newer);
  newer.known.max_new_tokens = 2;
  auto run = [&] {
    return tenon_llm_generate(llm_, &prompt, 1, &newer.known, nullptr, nullptr, nullptr, nullptr);
  };
  EXPECT_EQ(run(), TENON_OK);
  newer.added = 1;
  EXPECT_EQ(run(), TENON_UNSUPPORTED);
}

TEST_F(CapiTest, DefaultsComeFromThePlan) {
  tenon_sampling sampling;
  sampling.struct_size = sizeof(sampling);
  ASSERT_EQ(tenon_llm_default_sampling(llm_, &sampling, nullptr), TENON_OK);
  EXPECT_EQ(sampling.struct_size, sizeof(sampling));
  EXPECT_EQ(sampling.temperature, 1);
  EXPECT_EQ(sampling.top_k, 50);
  EXPECT_EQ(sampling.top_p, 0.5);
  EXPECT_EQ(sampling.max_new_tokens, 7);
}

TEST_F(CapiTest, ACallbackCancels) {
  auto stop = [](void*, const tenon_update*) -> int32_t { return 1; };
  tenon_segment prompt = text_segment("a");
  tenon_result* result = nullptr;
  ASSERT_EQ(tenon_llm_generate(llm_, &prompt, 1, &sampling_, stop, nullptr, &result, nullptr),
            TENON_OK);
  EXPECT_EQ(tenon_result_finish_reason(result), TENON_FINISH_CANCELLED);
  tenon_result_free(result);
}

TEST_F(CapiTest, RunsManyRequestsAtOnce) {
  std::vector<std::vector<int32_t>> alone, together(5);
  std::vector<std::vector<int32_t>> prompts;
  for (int32_t i = 0; i < 5; ++i) prompts.push_back(std::vector<int32_t>(1 + 4 * i, i));
  for (const auto& prompt : prompts) alone.push_back(generate({ids_segment(prompt)}));
  auto keep = [](void* user, const tenon_update* update) -> int32_t {
    if (!update->result) return 0;
    size_t count = 0;
    const int32_t* ids = tenon_result_ids(update->result, &count);
    static_cast<std::vector<int32_t>*>(user)->assign(ids, ids + count);
    return 0;
  };
  for (int i = 0; i < 5; ++i) {
    tenon_segment segment = ids_segment(prompts[i]);
    ASSERT_EQ(tenon_llm_submit(llm_, &segment, 1, &sampling_, keep, &together[i], nullptr, nullptr),
              TENON_OK);
  }
  int32_t busy = 1;
  while (busy) ASSERT_EQ(tenon_llm_step(llm_, &busy, nullptr), TENON_OK);
  EXPECT_EQ(together, alone);
}

TEST_F(CapiTest, TwoModelsRunAtTheSameTime) {
  std::vector<int32_t> expected = generate({text_segment("the cab")}), ids[2];
  auto work = [&](std::vector<int32_t>& out) {
    tenon_llm* llm = nullptr;
    tenon_result* result = nullptr;
    tenon_segment prompt = text_segment("the cab");
    ASSERT_EQ(tenon_llm_create(plan_, nullptr, &llm, nullptr), TENON_OK);
    ASSERT_EQ(tenon_llm_generate(llm, &prompt, 1, &sampling_, nullptr, nullptr, &result, nullptr),
              TENON_OK);
    size_t count = 0;
    const int32_t* first = tenon_result_ids(result, &count);
    out.assign(first, first + count);
    tenon_result_free(result);
    tenon_llm_destroy(llm);
  };
  std::thread other(work, std::ref(ids[1]));
  work(ids[0]);
  other.join();
  EXPECT_EQ(ids[0], expected);
  EXPECT_EQ(ids[1], expected);
}

TEST_F(CapiTest, ThePlanMayBeClosedFirst) {
  tenon_plan_close(plan_);
  plan_ = nullptr;
  EXPECT_EQ(generate({text_segment("cab")}).size(), 6u);
}

TEST(Capi, OptionsReachTheEngine) {
  TestPlanFile file;
  tenon_plan* plan = nullptr;
  ASSERT_EQ(tenon_plan_open(file.path().c_str(), &plan, nullptr), TENON_OK);
  tenon_llm_options options = {};
  options.struct_size = sizeof(options);
  options.max_batch_size = 99;
  tenon_llm* llm = nullptr;
  auto create = [&](tenon_error** error) { return tenon_llm_create(plan, &options, &llm, error); };
  EXPECT_THAT(message_of(TENON_USAGE, create), HasSubstr("max_batch_size"));
  options.max_batch_size = 1;
  options.device = "abacus";
  EXPECT_THAT(message_of(TENON_USAGE, create), HasSubstr("abacus"));
  options.device = "cpu";
  options.block_size = -1;
  EXPECT_EQ(tenon_llm_create(plan, &options, &llm, nullptr), TENON_OK);
  tenon_llm_destroy(llm);
  tenon_plan_close(plan);
}

TEST(Capi, OtherPlansAreRefusedWithTheirReason) {
  TestPlanFile vision(TestPlanFile::Kind::NotALanguageModel);
  TestPlanFile silent(TestPlanFile::Kind::WithoutTokenizer);
  tenon_plan* plan = nullptr;
  tenon_llm* llm = nullptr;
  auto create = [&](tenon_error** error) { return tenon_llm_create(plan, nullptr, &llm, error); };
  ASSERT_EQ(tenon_plan_open(vision.path().c_str(), &plan, nullptr), TENON_OK);
  EXPECT_THAT(message_of(TENON_WRONG_PLAN, create), HasSubstr("vision"));
  tenon_plan_close(plan);
  ASSERT_EQ(tenon_plan_open(silent.path().c_str(), &plan, nullptr), TENON_OK);
  int32_t* ids = nullptr;
  size_t count = 0;
  auto tokenize = [&](tenon_error** error) {
    return tenon_tokenize(plan, "a", 1, 0, &ids, &count, error);
  };
  EXPECT_THAT(message_of(TENON_WRONG_PLAN, tokenize), HasSubstr("tokenizer"));
  tenon_plan_close(plan);
}

}  // namespace
