#include <gtest/gtest.h>

#include "ir/graph.h"
#include "ir/pattern.h"
#include "ops/op_list.h"

namespace tenon::ir {
namespace {

constexpr std::string_view kText = R"(graph mlp
input %0: f32[tokens, 8] "x"
const %1: f32[16, 8] "gate.weight" = "gate.weight"
const %2: f32[16, 8] "up.weight" = "up.weight"
%3: f32[tokens, 16] "gate" = linear(%0, %1, _, _) {activation: "", dtype: ""} @ "gate"
%4: f32[tokens, 16] "up" = linear(%0, %2, _, _) {activation: "", dtype: ""} @ "up"
%5: f32[tokens, 16] "act" = unary(%3) {kind: "silu", dtype: ""} @ "act"
%6: f32[tokens, 16] "mul" = binary(%4, %5) {kind: "mul", dtype: ""} @ "mul"
output %6
)";

TEST(Graph, PrintsWhatItParsed) {
  Graph graph = parse(kText, ops::builtin_catalogue());
  verify(graph);
  EXPECT_EQ(print(graph), kText);
}

TEST(Graph, EqualRecipesAreOneConstant) {
  Graph graph("g", ops::builtin_catalogue());
  WeightInfo info{"wte.weight", DType::F32, {4, 2}};
  ValueId a = graph.add_constant("wte.weight", Recipe::source(info));
  ValueId b = graph.add_constant("lm_head.weight", Recipe::source(info));
  EXPECT_EQ(a, b);
  EXPECT_EQ(graph.value(a).names.size(), 2u);
}

TEST(Graph, ErrorsNameTheModule) {
  std::string text(kText);
  text.replace(text.find("const %1: f32[16, 8]"), 20, "const %1: f32[16, 9]");
  try {
    parse(text, ops::builtin_catalogue());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadInput);
  }
}

constexpr std::string_view kSwiglu = R"(
  %g = linear(%x, %wg, _, _) {activation: "", dtype: $dtype}
  %a = unary(%g) {kind: $kind}
  %u = linear(%x, %wu, _, _) {activation: ""}
  %y = binary(%a, %u) {kind: "mul"}
)";

TEST(Pattern, MatchesOperandsInEitherOrder) {
  Graph graph = parse(kText, ops::builtin_catalogue());
  Pattern pattern = Pattern::parse(kSwiglu);
  std::optional<Match> match = pattern.match_at(graph, 3);
  ASSERT_TRUE(match.has_value());
  EXPECT_EQ(match->value("wg"), 1);
  EXPECT_EQ(match->value("wu"), 2);
  EXPECT_EQ(match->attributes.at("$kind"), ops::Attribute(std::string("silu")));
  EXPECT_FALSE(pattern.match_at(graph, 2).has_value());
}

TEST(Pattern, RefusesValuesThatEscape) {
  Graph graph = parse(std::string(kText) + "output %3\n", ops::builtin_catalogue());
  EXPECT_FALSE(Pattern::parse(kSwiglu).match_at(graph, 3).has_value());
}

TEST(Graph, ErasesDeadNodes) {
  Graph graph = parse(kText, ops::builtin_catalogue());
  graph.add_node({"unary",
                  ops::Attributes().set("kind", std::string("relu")),
                  {graph.inputs()[0]},
                  "dead",
                  1});
  EXPECT_EQ(graph.erase_dead_nodes(), 1u);
  verify(graph);
}

ops::Attributes kind(std::string name) {
  return ops::Attributes().set("kind", std::move(name));
}

TEST(Graph, UsersFollowEveryEdit) {
  Graph graph = parse(kText, ops::builtin_catalogue());
  const Graph& same = graph;
  EXPECT_EQ(same.users(0), (std::vector<NodeId>{0, 1}));
  // In place: the new node reads what the old one did not, and stands where it stood.
  ValueId act = graph.replace_node(2, {"unary", kind("relu"), {4}, "act2", 1}).at(0);
  EXPECT_TRUE(same.users(3).empty());
  EXPECT_EQ(same.users(4), (std::vector<NodeId>{2, 3}));
  EXPECT_EQ(same.value(act).producer, 2);
  EXPECT_EQ(same.value(5).producer, kNone);
  graph.replace_uses(5, act);
  EXPECT_EQ(same.users(act), (std::vector<NodeId>{3}));
  EXPECT_EQ(same.node(3).inputs, (std::vector<ValueId>{4, act}));
  // The mutable node() may change anything.
  graph.node(3).inputs = {act, act};
  EXPECT_EQ(same.users(4), (std::vector<NodeId>{2}));
  EXPECT_EQ(graph.erase_dead_nodes(), 1u);
  EXPECT_EQ(same.users(4), (std::vector<NodeId>{1}));
  verify(graph);
  graph.insert_node(0, {"unary", kind("exp"), {0}, "", 1});
  EXPECT_EQ(same.users(0), (std::vector<NodeId>{0, 1}));
  verify(graph);
}

TEST(Graph, ReadsInsideRegionsAreUses) {
  Graph graph = parse(kText, ops::builtin_catalogue());
  Node body{"unary", 1, kind("exp"), {3}, {}, "", {}};
  graph.node(1).regions.push_back({{}, {4}, {body}});
  EXPECT_EQ(graph.users(3), (std::vector<NodeId>{1, 2}));
  graph.replace_uses(3, 0);
  EXPECT_EQ(graph.node(1).regions[0].nodes[0].inputs[0], 0);
}

TEST(Graph, AnOutputKeepsItsMainName) {
  Graph graph = parse(kText, ops::builtin_catalogue());
  ValueId fresh = graph.add_node1({"unary", kind("exp"), {3}, "fresh", 1});
  graph.replace_uses(6, fresh);
  EXPECT_EQ(graph.value(fresh).names, (std::vector<std::string>{"mul", "fresh"}));
  graph.replace_uses(4, fresh);
  EXPECT_EQ(graph.value(fresh).names, (std::vector<std::string>{"mul", "fresh", "up"}));
}

TEST(Graph, ConstantEditedInPlaceIsNotTakenForItsOldSelf) {
  Graph graph("g", ops::builtin_catalogue());
  Recipe w = Recipe::source({"w", DType::F32, {4, 2}}),
         v = Recipe::source({"v", DType::F32, {4, 2}});
  ValueId a = graph.add_constant("w", w);
  graph.value(a).recipe = v;
  EXPECT_NE(graph.add_constant("w", w), a);
}

}  // namespace
}  // namespace tenon::ir
