#include "pipelines/llm/model_info.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "pipelines/llm/test_plan.h"

namespace tenon::llm {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ModelInfo, ReadsThePlan) {
  TestModel model;
  ModelInfo info = read_model_info(model.plan);
  EXPECT_EQ(info.vocabulary, kTestVocabulary);
  EXPECT_EQ(info.bos, kTestBos);
  EXPECT_THAT(info.eos, ElementsAre(kTestEos));
}

TEST(ModelInfo, ListsEveryProblem) {
  TestModel model;
  model.plan.model.set("hidden", 0).set("layers", "two").set("bos", 99);
  try {
    read_model_info(model.plan);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadInput);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("3 problems"), HasSubstr("hidden"),
                                    HasSubstr("layers"), HasSubstr("bos")));
  }
}

TEST(ModelInfo, RefusesPlansOfOtherKinds) {
  TestModel model;
  model.plan.pipeline = "vision";
  try {
    model.make_engine();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::WrongPlan);
  }
}

TEST(ModelInfo, ADamagedTokenizerIsNamed) {
  TestModel model;
  model.plan.tokenizer = "{";
  EXPECT_THROW(make_tokenizer(model.plan), Error);
  model.plan.tokenizer.clear();
  EXPECT_EQ(make_tokenizer(model.plan), nullptr);
}

}  // namespace
}  // namespace tenon::llm
