#include "plan/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <ostream>

#include "plan/plan_json.h"
#include "plan/plan_test_plans.h"

namespace tenon::plan {
namespace {

using testing::HasSubstr;

// The test plan as the writer would lay it out.
Plan placed_plan() {
  Plan plan = make_test_plan();
  plan.constants[0].bytes = 128;
  plan.constants[1].offset = 256;
  plan.constants[1].bytes = 36;
  return plan;
}
constexpr int64_t kWeights = 292;

struct Case {
  std::string name, message;
  std::function<void(Plan&, Stage&)> change;
  friend std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }
};

class VerifyRefuses : public testing::TestWithParam<Case> {};

TEST(Verify, AcceptsTheTestPlan) {
  EXPECT_NO_THROW(verify(placed_plan(), kWeights));
}

TEST_P(VerifyRefuses, AndSaysWhere) {
  Plan plan = placed_plan();
  GetParam().change(plan, plan.stages[0]);
  try {
    verify(plan, kWeights);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadInput);
    EXPECT_THAT(error.what(), HasSubstr(GetParam().message));
  }
}

const Case kCases[] = {
    {"InputIndex", "step 0: embedding: inputs: no such value",
     [](Plan&, Stage& s) { s.steps[0].inputs[0] = 7; }},
    {"NegativeIndex", "no such value", [](Plan&, Stage& s) { s.steps[0].inputs[0] = -2; }},
    {"OutputIndex", "outputs: no such value", [](Plan&, Stage& s) { s.steps[0].outputs[0] = 99; }},
    {"ReadBeforeWrite", "value 5 (logits): value is read before",
     [](Plan&, Stage& s) { s.steps[0].inputs.push_back(5); }},
    {"WrittenTwice", "written twice", [](Plan&, Stage& s) { s.steps[1].outputs.push_back(4); }},
    {"WritesAnInput", "not written by steps",
     [](Plan&, Stage& s) { s.steps[1].outputs.push_back(0); }},
    {"NeverWritten", "no step writes", [](Plan&, Stage& s) { s.values.push_back(s.values[6]); }},
    {"LeavesItsRegion", "outside the region", [](Plan&, Stage& s) { s.outputs.push_back(6); }},
    {"BeginsLate", "lifetime does not begin", [](Plan&, Stage& s) { s.values[4].first_step = 1; }},
    {"EndsEarly", "lifetime ends before", [](Plan&, Stage& s) { s.values[4].last_step = 0; }},
    {"OutputEndsEarly", "value 4 (hidden): lifetime ends before",
     [](Plan&, Stage& s) {
       s.steps.push_back(Step{"nop", 1, {}, {}, {}, "", {}, {}});
       s.values[5].last_step = 2;
       s.outputs.push_back(4);
     }},
    {"EndsAfterTheStage", "does not exist", [](Plan&, Stage& s) { s.values[4].last_step = 2; }},
    {"ConstantIndex", "no such constant", [](Plan&, Stage& s) { s.values[1].constant = 2; }},
    {"ConstantType", "type differs", [](Plan&, Stage& s) { s.values[1].type.dtype = DType::F16; }},
    {"ConstantShape", "type differs",
     [](Plan&, Stage& s) {
       s.values[1].type.shape = {8, 4};
     }},
    {"StrayConstant", "only constants", [](Plan&, Stage& s) { s.values[0].constant = 0; }},
    {"UnlistedInput", "inputs: value 0 (ids): value is not listed",
     [](Plan&, Stage& s) { s.inputs = {}; }},
    {"InputTwice", "listed twice",
     [](Plan&, Stage& s) {
       s.inputs = {0, 0};
     }},
    {"InputRole", "another role",
     [](Plan&, Stage& s) {
       s.inputs = {0, 4};
     }},
    {"UnlistedState", "states", [](Plan&, Stage& s) { s.states = {}; }},
    {"OutputOfNobody", "outputs: no such value", [](Plan&, Stage& s) { s.outputs = {7}; }},
    {"UnknownSymbol", "symbol has no value",
     [](Plan&, Stage& s) { s.symbols.erase(s.symbols.begin()); }},
    {"SymbolTwice", "appears twice", [](Plan&, Stage& s) { s.symbols.push_back(s.symbols[0]); }},
    {"SymbolOrder", "symbol tokens: range",
     [](Plan&, Stage& s) {
       s.symbols[0] = {"tokens", 9, 8};
     }},
    {"SymbolNegative", "range", [](Plan&, Stage& s) { s.symbols[0].least = -1; }},
    {"SymbolHuge", "range", [](Plan&, Stage& s) { s.symbols[0].most = 1ll << 40; }},
    {"NegativeExtent", "negative extent", [](Plan&, Stage& s) { s.values[0].type.shape = {-4}; }},
    {"SizeOverflows", "overflows",
     [](Plan&, Stage& s) {
       s.values[0].type.shape = {Dim(1ll << 40), Dim(1ll << 40)};
     }},
    {"Rank", "rank", [](Plan&, Stage& s) { s.values[0].type.shape = Shape(9, Dim(1)); }},
    {"QuantAxis", "quantisation", [](Plan&, Stage& s) { s.values[2].type.quant->axis = 2; }},
    {"QuantGroup", "quantisation", [](Plan&, Stage& s) { s.values[2].type.quant->group = -1; }},
    {"QuantClusters", "clusters", [](Plan&, Stage& s) { s.values[2].type.quant->clusters = {-1}; }},
    {"NoOp", "op name", [](Plan&, Stage& s) { s.steps[0].op = ""; }},
    {"Version", "op name, version", [](Plan&, Stage& s) { s.steps[0].version = 0; }},
    {"Ranks", "ranks", [](Plan&, Stage& s) { s.ranks = 0; }},
    {"StageName", "name is empty", [](Plan&, Stage& s) { s.name = ""; }},
    {"StageTwice", "stage 1: name appears twice",
     [](Plan& p, Stage& s) { p.stages[1].name = s.name; }},
    {"FeedStage", "feed 0: plan has no such stage",
     [](Plan& p, Stage&) { p.feeds[0].to_stage = "x"; }},
    {"FeedOutput", "no such output", [](Plan& p, Stage&) { p.feeds[0].from_value = "hidden"; }},
    {"FeedInput", "no such input", [](Plan& p, Stage&) { p.feeds[0].to_value = "ids"; }},
    {"ConstantTwice", "appears twice",
     [](Plan& p, Stage&) { p.constants[1].name = p.constants[0].name; }},
    {"ConstantBytes", "bytes do not agree", [](Plan& p, Stage&) { p.constants[1].bytes = 35; }},
    {"ConstantOverlap", "shares bytes", [](Plan& p, Stage&) { p.constants[1].offset = 0; }},
    {"ConstantUnaligned", "multiple of 256", [](Plan& p, Stage&) { p.constants[1].offset = 128; }},
    {"ConstantPastTheEnd", "ends after", [](Plan& p, Stage&) { p.constants[1].offset = 512; }},
    {"ConstantNegative", "multiple of 256", [](Plan& p, Stage&) { p.constants[1].offset = -256; }},
    {"ConstantWraps", "ends after",
     [](Plan& p, Stage&) { p.constants[1].offset = INT64_MAX - 255; }},
    {"ConstantHuge", "overflows",
     [](Plan& p, Stage&) {
       p.constants[1].extents = {1ll << 32, 1ll << 32};
     }},
    {"ConstantOfText", "text are not",
     [](Plan& p, Stage&) { p.constants[1].dtype = DType::String; }},
    {"DeepRegions", "too deep",
     [](Plan&, Stage& s) {
       Step step = s.steps[1].regions[0].steps[0];
       step.outputs = {};
       for (int i = 0; i < 101; ++i)
         step = Step{"loop", 1, {}, {}, {}, "", {}, {Region{{}, {}, {step}}}};
       s.steps.push_back(step);
     }},
};

INSTANTIATE_TEST_SUITE_P(Cases, VerifyRefuses, testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

TEST(PlanJson, UnknownFieldsAreRefusedUnlessTheFormatIsNewer) {
  std::string text = write_constants_section(placed_plan().constants);
  text.insert(text.find('{') + 1, "\"future\": 1, ");
  EXPECT_THROW(read_constants_section(text, true), Error);
  EXPECT_EQ(read_constants_section(text, false).size(), 2u);
}

TEST(PlanJson, ErrorsNameTheStep) {
  std::string text = write_stages_section(make_test_plan().stages);
  text.replace(text.find("\"branch\""), 8, "1");
  try {
    read_stages_section(text, true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("stage 0: step 1"));
  }
}

TEST(PlanJson, DimensionsThatAreNoExpressionsAreRefused) {
  std::string good = write_stages_section(make_test_plan().stages);
  for (std::string bad : {"\"-\"", "\"99999999999999999999\"", "\"tokens +\"", "1.5", "null"}) {
    std::string text = good;
    text.replace(text.find("\"tokens\"]"), 8, bad);
    EXPECT_THROW(read_stages_section(text, true), Error) << bad;
  }
}

TEST(PlanJson, TextThatIsNotUtf8IsNotWritten) {
  Plan plan = make_test_plan();
  plan.stages[0].values[0].names = {"\xFF"};
  EXPECT_THROW(write_stages_section(plan.stages), Error);
}

}  // namespace
}  // namespace tenon::plan
