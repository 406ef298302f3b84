#include "plan/tactics.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon::plan {
namespace {

TacticsFile example() {
  TacticsFile file;
  file.set.device = "NVIDIA H200, compute capability 9.0";
  file.plan = "00112233445566778899aabbccddeeff";
  file.gate.set("passed", true);
  file.set.tactics = {{.signature = "linear(bf16[8, 64], bf16[128, 64]) -> bf16[8, 128]",
                       .implementation = "linear_gemv",
                       .variant = "8x4x2",
                       .instead_of = "linear_cublaslt",
                       .seconds = 1e-5,
                       .instead_of_seconds = 2e-5,
                       .steps = 32},
                      {.signature = "glu(bf16[8, 64]) -> bf16[8, 32]",
                       .implementation = "glu",
                       .variant = "",
                       .instead_of = "",
                       .seconds = 1e-6,
                       .instead_of_seconds = 0,
                       .steps = 32}};
  return file;
}

std::string problem(const std::string& text) {
  try {
    parse_tactics(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadInput) << error.what();
    return error.what();
  }
  return "";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Tactics, TextReadsBack) {
  TacticsFile file = example(), again = parse_tactics(to_text(file));
  EXPECT_EQ(to_text(again), to_text(file));
  EXPECT_EQ(again.set.device, file.set.device);
  ASSERT_EQ(again.set.tactics.size(), 2u);
  EXPECT_EQ(again.set.tactics[0].variant, "8x4x2");
  EXPECT_EQ(again.set.tactics[0].instead_of_seconds, 2e-5);
  EXPECT_EQ(again.set.find(file.set.tactics[1].signature), &again.set.tactics[1]);
  EXPECT_EQ(again.set.find("none"), nullptr);
}

TEST(Tactics, EmbeddedFormHasNeitherFiguresNorOrder) {
  TacticsFile file = example(), other = example();
  std::swap(other.set.tactics[0], other.set.tactics[1]);
  other.set.tactics[0].seconds = 7;
  TacticSet cpu{"A CPU", {}};
  EXPECT_EQ(to_json({file.set, cpu}).dump(), to_json({cpu, other.set}).dump());
  std::vector<TacticSet> sets = tactic_sets_from_json(to_json({file.set, cpu}));
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_EQ(sets[0].device, "A CPU");
  EXPECT_EQ(sets[1].tactics.size(), 2u);
  EXPECT_EQ(sets[1].tactics[0].seconds, 0);
}

TEST(Tactics, WrongFilesAreRefusedAsAWhole) {
  std::string text = to_text(example());
  EXPECT_EQ(problem(text), "");
  for (size_t cut = 0; cut + 2 < text.size(); cut += 37)
    EXPECT_NE(problem(text.substr(0, cut)), "");
  EXPECT_NE(problem("[]"), "");
  EXPECT_NE(problem(replaced(text, "\"tenon_tactics\": 1", "\"tenon_tactics\": 2")), "");
  EXPECT_NE(problem(replaced(text, "\"plan\"", "\"plam\"")), "");
  EXPECT_NE(problem(replaced(text, "1e-05", "-1")), "");
  EXPECT_NE(problem(replaced(text, "\"NVIDIA H200, compute capability 9.0\"", "\"\"")), "");
  EXPECT_NE(problem(replaced(text, "\"8x4x2\"", "\"8x4\\nx2\"")), "");
  std::string twice = replaced(text, "glu(bf16[8, 64]) -> bf16[8, 32]",
                               "linear(bf16[8, 64], bf16[128, 64]) -> bf16[8, 128]");
  EXPECT_NE(problem(twice).find("two tactics for one step"), std::string::npos);
}

TEST(Tactics, TwoSetsForOneDeviceAreRefused) {
  TacticSet set = example().set;
  EXPECT_THROW(tactic_sets_from_json(to_json({set, set})), Error);
}

}  // namespace
}  // namespace tenon::plan
