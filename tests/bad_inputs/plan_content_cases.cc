#include "bad_input.h"
#include "plan_forge.h"

namespace tenon::bad_inputs {
namespace {

// A plan whose JSON says something impossible, with right digests.
struct Forgery {
  const char *row, *name, *section, *from, *to, *message;
};

const Forgery kForgeries[] = {
    {"L07", "SharedBytes", "constants", "\"offset\": 256", "\"offset\": 0",
     "shares bytes with constant"},
    {"L07", "PastTheEnd", "constants", "\"offset\": 256", "\"offset\": 4096",
     "ends after the weights"},
    {"L07", "SumWraps", "constants", "\"offset\": 256", "\"offset\": 9223372036854775552",
     "ends after"},
    {"L07", "TwoToThe63", "constants", "\"offset\": 256", "\"offset\": 9223372036854775808",
     "offset"},
    {"L07", "Negative", "constants", "\"offset\": 256", "\"offset\": -256",
     "constant proj.weight: offset"},
    {"L07", "Unaligned", "constants", "\"offset\": 256", "\"offset\": 255",
     "constant proj.weight: offset"},
    {"L07", "Bytes", "constants", "\"bytes\": 36", "\"bytes\": 35", "constant proj.weight: bytes"},
    {"L07", "BytesHuge", "constants", "\"bytes\": 36", "\"bytes\": 9223372036854775807",
     "proj.weight"},
    {"L07", "ExtentsWrap", "constants", "[36]", "[4294967296, 4294967296]", "size overflows"},
    {"L07", "Rank", "constants", "[36]", "[1, 1, 1, 1, 1, 1, 1, 1, 36]",
     "constant 1: extents: rank"},
    {"L07", "DType", "constants", "\"u8\"", "\"u9\"",
     "constant 1: dtype: unknown element type; got u9"},
    {"L08", "InputIndex", "stages", "\"inputs\": [1, 0]", "\"inputs\": [1, 99]",
     "step 0: embedding: inputs"},
    {"L08", "OutputIndex", "stages", "\"outputs\": [4]", "\"outputs\": [-5]",
     "step 0: embedding: outputs"},
    {"L08", "Index32", "stages", "\"inputs\": [1, 0]", "\"inputs\": [1, 4294967296]",
     "number out of range"},
    {"L08", "IndexFraction", "stages", "\"inputs\": [1, 0]", "\"inputs\": [1, 0.5]",
     "stage 0: step 0"},
    {"L08", "ConstantIndex", "stages", "\"constant\": 1", "\"constant\": 2",
     "value 2 (proj.weight): no such"},
    {"L08", "StageInput", "stages", "\"inputs\": [0]", "\"inputs\": [77]",
     "stage 0: inputs: no such value"},
    {"L08", "Cycle", "stages", "\"inputs\": [1, 0]", "\"inputs\": [1, 5]",
     "read before it is written"},
    {"L08", "ReadsItself", "stages", "\"inputs\": [1, 0]", "\"inputs\": [1, 4]",
     "read before it is written"},
    {"L08", "WrittenTwice", "stages", "\"outputs\": [6], \"module\": \"model.proj\"",
     "\"outputs\": [4], \"module\": \"\"", "written twice"},
    {"L08", "Lifetime", "stages", "\"first_step\": 0, \"last_step\": 1",
     "\"first_step\": 0, \"last_step\": 0", "lifetime ends before"},
    {"L08", "LifetimeIndex", "stages", "\"last_step\": 1", "\"last_step\": 1000000",
     "does not exist"},
    {"L08", "Role", "stages", "\"state\"", "\"other\"", "stage 0: value 3: role: unknown role"},
    {"L08", "Placement", "stages", "\"host\"", "\"moon\"", "placement: unknown placement"},
    {"L08", "AttributeKind", "stages", "\"f64\"", "\"f99\"", "unknown kind of attribute"},
    {"L08", "UnknownField", "stages", "\"ranks\"", "\"rnaks\"",
     "stage 0: unknown field; got rnaks"},
    {"L08", "Feed", "plan", "\"to_value\": \"scores\"", "\"to_value\": \"nothing\"",
     "no such input"},
    {"L08", "Dim", "stages", "\"(tokens + 1)\"", "\"(tokens + \"", "not a dimension"},
    {"L08", "DimDeep", "stages", "\"(tokens + 1)\"",
     "\"((((((((((((((((((((((((((((((((((((((((((((((((((("
     "((((((((((((((((((((((((((((((\"",
     "not a dimension"},
    {"L08", "FieldMissing", "stages", "\"ranks\": 1, ", "", "ranks: field is missing"},
    {"L14", "LeastAboveMost", "stages", "\"least\": 1, \"most\": 64", "\"least\": 65, \"most\": 64",
     "symbol tokens: range"},
    {"L14", "Negative", "stages", "\"least\": 1, \"most\": 64", "\"least\": -1, \"most\": 64",
     "symbol tokens"},
    {"L14", "TwoToThe40", "stages", "\"most\": 64", "\"most\": 1099511627776",
     "symbol tokens: range"},
    {"L14", "ExtentNegative", "stages", "\"blocks\", 2, 8", "\"blocks\", -2, 8", "negative extent"},
    {"L14", "ExtentWraps", "stages", "[\"(tokens + 1)\", 8]", "[4294967296, 4294967296, 8]",
     "overflows"},
    {"L14", "UnknownSymbol", "stages", "\"blocks\", 2, 8", "\"clocks\", 2, 8",
     "symbol has no value; got clocks"},
};

}  // namespace

std::vector<Case> plan_content_cases() {
  std::vector<Case> cases;
  for (const Forgery& forgery : kForgeries) {
    std::string bytes = PlanForge().replace(forgery.section, forgery.from, forgery.to).bytes();
    cases.push_back(plan_case(forgery.row, forgery.name, Expect::Refuse, bytes, forgery.message));
  }
  std::string many = "[";
  for (int i = 0; i < 8'000'000; ++i) many += "0,";
  cases.push_back(plan_case("L08", "MillionsOfValues", Expect::Refuse,
                            PlanForge().set("stages", many + "0]").bytes(),
                            "section stages: section is too large"));
  std::string deep = "[" + std::string(100'000, '[');
  for (const char* section : {"stages", "plan", "constants", "selftest", "evidence"}) {
    cases.push_back(plan_case("L08", std::string("Deep") + section, Expect::Refuse,
                              PlanForge().set(section, deep).bytes(),
                              std::string("section ") + section + ": JSON is nested too deep"));
    cases.push_back(plan_case("L08", std::string("Cut") + section, Expect::Refuse,
                              PlanForge().set(section, "{\"name\": ").bytes(),
                              std::string("section ") + section + ": byte "));
  }
  return cases;
}

}  // namespace tenon::bad_inputs
