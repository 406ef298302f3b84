#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "kernels/check.h"
#include "kernels/report.h"
#include "ops/glu.h"

namespace tenon::bench {
namespace {

using data::Json;
using data::parse_json;
using testing::HasSubstr;

std::vector<Case> cases_of(const char* text) {
  return read_shapes(parse_json(text));
}

std::string error_of(FunctionRef<void()> work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Shapes, ListsStandForEveryCombination) {
  std::vector<Case> cases = cases_of(
      R"({"model": "M", "cases": [{"op": "linear", "layer": "o", "dtype": ["f16", "f32"],
          "m": [1, 8], "n": 4, "k": 6}, {"op": "glu", "dtype": "f32", "rows": 2, "columns": 3}]})");
  ASSERT_EQ(cases.size(), 5u);
  EXPECT_EQ(cases[0].name(), "M linear o f16 m=1 n=4 k=6");
  EXPECT_EQ(cases[3].name(), "M linear o f32 m=8 n=4 k=6");
  EXPECT_EQ(cases[4].name(), "M glu f32 rows=2 columns=3");
  EXPECT_EQ(read_case(cases[1].to_json()).name(), cases[1].name());
}

TEST(Shapes, WrongFilesAreRefused) {
  EXPECT_THAT(error_of([] { cases_of(R"({"cases": []})"); }), HasSubstr("model"));
  EXPECT_THAT(error_of([] { cases_of(R"({"model": "M", "cases": [{"m": 1}]})"); }),
              HasSubstr("op"));
  EXPECT_THAT(error_of([] { read_case(parse_json(R"({"op": "glu", "rows": [1, 2]})")); }),
              HasSubstr("one value"));
  Case small = read_case(parse_json(R"({"op": "glu", "rows": 0})"));
  EXPECT_THAT(error_of([&] { small.size("rows"); }), HasSubstr("1 to 2147483648"));
  EXPECT_THAT(error_of([&] { small.size("columns"); }), HasSubstr("columns"));
}

TEST(Shapes, EveryCommittedFileCanBeRead) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TENON_SOURCE_DIR "/bench/shapes")) {
    EXPECT_GT(read_shapes(data::read_json_file(entry.path())).size(), 10u) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 3);
}

TEST(Summary, MedianAndSpread) {
  Measured measured = summarise({5, 1, 2, 3, 4});
  EXPECT_EQ(measured.seconds, 3);
  EXPECT_NEAR(measured.spread, 4.0 / 3, 1e-12);
}

// A machine whose clock says that every call takes a second.
class SlowMachine : public Machine {
 public:
  explicit SlowMachine(ops::ImplementationList list) : Machine(device::cpu_device(), list) {}
  int64_t rotated_bytes() const override { return 4096; }
  void fill_random(const TensorView& to, uint32_t seed, float spread) override {
    Tensor values = Tensor::make(DType::F32, to.extents);
    for (int64_t i = 0; i < values.count(); ++i) {
      values.as<float>()[i] = spread * std::sin(static_cast<float>(seed + 1 + i));
    }
    copy_convert(values, to);
  }
  Measured measure(int, FunctionRef<void()> queue) override {
    queue();
    return {.seconds = 1, .spread = 0, .ceilings = {.read = 100, .f32 = 10}, .turns = {}};
  }
};

ops::Support supports_all(const ops::OpDesc&) {
  return ops::Support::yes();
}
void write_nothing(const ops::RunArgs&) {}
constexpr ops::Implementation kIdle = {
    .name = "glu__idle", .op = "glu", .supports = supports_all, .run = write_nothing};

TEST(Report, AnUnwrittenOutputIsNoResult) {
  const ops::Implementation* list[] = {&kIdle};
  SlowMachine machine(list);
  Case what = read_case(parse_json(R"({"op": "glu", "dtype": "f32", "rows": 2, "columns": 3})"));
  EXPECT_THAT(error_of([&] { measure_case(machine, what, Which::Chosen); }),
              HasSubstr("left an element unwritten"));
}

TEST(Report, NobodyCanDoIt) {
  SlowMachine machine({});
  Case what = read_case(parse_json(R"({"op": "glu", "dtype": "f32", "rows": 2, "columns": 3})"));
  EXPECT_THAT(error_of([&] { measure_case(machine, what, Which::Chosen); }),
              HasSubstr("no implementation"));
  what.op = "gru";
  EXPECT_THAT(error_of([&] { measure_case(machine, what, Which::Chosen); }),
              HasSubstr("linear, paged_attention"));
}

TEST(Report, TheFloorIsTheLargerOfBoth) {
  Result result;
  result.measured = {.seconds = 8, .spread = 0, .ceilings = {.read = 100, .f32 = 10}, .turns = {}};
  result.bytes = 200, result.operations = 40;
  EXPECT_EQ(result.floor(), 4);
  EXPECT_FALSE(result.bound_by_reading());
  result.bytes = 600;
  EXPECT_EQ(result.floor(), 6);
  EXPECT_TRUE(result.bound_by_reading());
  EXPECT_EQ(result.to_json().get_double("share_of_floor", 0), 0.75);
  EXPECT_FALSE(result.to_json().find("share_in_turns"));
}

TEST(Report, ShareInTurnsComparesEachCallWithItsOwnCeilings) {
  Result result;
  result.bytes = 0, result.operations = 40;
  // The clock halves after the first turn; in the last something else ran beside the call.
  result.measured.turns = {
      {{.read = 100, .f32 = 20}, 4}, {{.read = 100, .f32 = 10}, 8}, {{.read = 100, .f32 = 10}, 40}};
  EXPECT_EQ(result.share_in_turns(), 0.5);
  // The larger of both floors, in each turn by itself.
  result.bytes = 600;
  result.measured.turns = {{{.read = 100, .f32 = 20}, 8}};
  EXPECT_EQ(result.share_in_turns(), 0.75);
  EXPECT_EQ(result.to_json().get_double("share_in_turns", 0), 0.75);
}

Tensor glu_input(Checker& checker) {
  return checker.random_floats(DType::F32, {3, 8});
}

TEST(Check, AnImplementationThatWritesNothingIsWrong) {
  const ops::Implementation* list[] = {&kIdle};
  SlowMachine machine(list);
  Checker checker(machine, 1);
  checker.check("glu", "case", ops::to_attributes(ops::Glu{}), {glu_input(checker)}, DType::F32,
                {3, 4}, 1e-6);
  EXPECT_EQ(checker.summary().cases, 1);
  EXPECT_EQ(checker.summary().wrong, 1);
}

int g_calls = 0;
void write_another_number_each_time(const ops::RunArgs& args) {
  ++g_calls;
  for (int64_t i = 0; i < args.outputs[0].count(); ++i) {
    args.outputs[0].as<float>()[i] = static_cast<float>(g_calls) * 1e-30f;
  }
}
constexpr ops::Implementation kFickle = {.name = "glu__fickle",
                                         .op = "glu",
                                         .supports = supports_all,
                                         .run = write_another_number_each_time};

TEST(Check, ARepeatWithOtherBitsIsWrong) {
  const ops::Implementation* list[] = {&kFickle};
  SlowMachine machine(list);
  Checker checker(machine, 1);
  // Everything is allowed but other bits.
  checker.check("glu", "case", ops::to_attributes(ops::Glu{}), {glu_input(checker)}, DType::F32,
                {3, 4}, 1e6);
  EXPECT_EQ(checker.summary().wrong, 1);
}

TEST(Check, TheCpuKernelsAreRight) {
  SlowMachine machine(Machine::open({})->implementations());
  Checker checker(machine, 1);
  checker.check("glu", "case", ops::to_attributes(ops::Glu{}), {glu_input(checker)}, DType::F32,
                {3, 4}, 1e-5);
  EXPECT_GT(checker.summary().cases, 0);
  EXPECT_EQ(checker.summary().wrong, 0);
}

// Every op of the benchmark on the real CPU kernels, so that a change of an op's interface shows.
TEST(Report, EveryOpRunsOnTheCpu) {
  SlowMachine machine(Machine::open({})->implementations());
  for (const char* text : {
           R"({"op": "linear", "dtype": "f32", "m": 2, "n": 8, "k": 16, "bias": "f32",
               "residual": "f32", "activation": "gelu_tanh"})",
           R"({"op": "paged_attention", "dtype": "bf16", "seqs": 2, "before": 20, "tokens": 1,
               "heads": 4, "kv_heads": 2, "head_dim": 64})",
           R"({"op": "rope_kv_append", "dtype": "bf16", "seqs": 2, "before": 20, "tokens": 3,
               "heads": 4, "kv_heads": 2, "head_dim": 64})",
           R"({"op": "rms_norm", "dtype": "bf16", "rows": 3, "columns": 64, "residual": "f32"})",
           R"({"op": "layer_norm", "dtype": "f16", "rows": 3, "columns": 64})",
           R"({"op": "glu", "dtype": "f16", "rows": 3, "columns": 64})",
           R"({"op": "sample", "rows": 2, "vocab": 100, "temperature": 0.8, "top_p": 0.9})"}) {
    Case what = read_case(parse_json(text));
    std::vector<Result> results = measure_case(machine, what, Which::All);
    ASSERT_FALSE(results.empty()) << text;
    EXPECT_TRUE(results[0].chosen);
    for (size_t i = 1; i < results.size(); ++i) EXPECT_FALSE(results[i].chosen);
    EXPECT_THAT(results[0].implementation, HasSubstr(what.op));
    EXPECT_THAT(results[0].line(what), HasSubstr("1000000.00 us"));
    EXPECT_EQ(to_json(what, results).at("results", "$").as_array("$")[0].get_double("seconds", 0),
              1);
  }
}

}  // namespace
}  // namespace tenon::bench
