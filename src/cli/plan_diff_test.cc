#include "cli/plan_diff.h"

#include <gtest/gtest.h>

namespace tenon::cli {
namespace {

std::vector<std::string> json_differences(const char* before, const char* after) {
  std::vector<Difference> found;
  compare_json("p", data::parse_json(before), data::parse_json(after), found);
  std::vector<std::string> lines;
  for (const Difference& d : found) lines.push_back(d.place + ": " + d.before + " > " + d.after);
  return lines;
}

TEST(PlanDiff, JsonByMember) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(json_differences(R"({"a": 1, "b": {"c": [1]}})", R"({"a": 1, "b": {"c": [1]}})"),
            Lines{});
  EXPECT_EQ(json_differences(R"({"a": 1, "b": {"c": [1], "d": 2}, "x": 0})",
                             R"({"a": "1", "b": {"c": [2], "d": 2}, "y": null})"),
            (Lines{"p.a: 1 > \"1\"", "p.b.c: [1] > [2]", "p.x: 0 > "}));
}

std::vector<std::string> line_differences(std::vector<std::string> before,
                                          std::vector<std::string> after) {
  std::vector<Difference> found;
  compare_lines("s", before, after, found);
  std::vector<std::string> lines;
  for (const Difference& d : found) lines.push_back(d.place + ": " + d.before + " > " + d.after);
  return lines;
}

TEST(PlanDiff, LinesBetweenCommonEnds) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(line_differences({"a", "b"}, {"a", "b"}), Lines{});
  EXPECT_EQ(line_differences({"a", "b", "c"}, {"a", "c"}), Lines{"s, step 1: b > "});
  EXPECT_EQ(line_differences({"a", "c"}, {"a", "b", "c"}), Lines{"s, step 1:  > b"});
  EXPECT_EQ(line_differences({"a", "a"}, {"a"}), Lines{"s, step 1: a > "});
  EXPECT_EQ(line_differences({}, {"a"}), Lines{"s, step 0:  > a"});
}

}  // namespace
}  // namespace tenon::cli
