#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "base/error.h"
#include "ops/op_list.h"
#include "passes/fuse/pack_linears.h"
#include "passes/memory/lifetimes.h"
#include "passes/pipeline.h"

namespace tenon::passes {
namespace {

TEST(Lifetimes, OutputsLiveToTheEnd) {
  ir::Graph graph = ir::parse(R"(graph g
    input %x: f32[n, 4] "x"
    %a: f32[n, 4] = unary(%x) {kind: "relu"}
    %b: f32[n, 4] = unary(%x) {kind: "tanh"}
    %c: f32[n, 4] = binary(%a, %b) {kind: "add"}
    %unread: f32[n, 4] = unary(%c) {kind: "exp"}
    %d: f32[n, 4] = binary(%c, %a) {kind: "add"}
    output %b
    output %d
  )",
                              ops::builtin_catalogue());
  std::vector<Lifetime> expected = {{1, 0, 4}, {2, 1, 4}, {3, 2, 4}, {4, 3, 3}, {5, 4, 4}};
  EXPECT_EQ(lifetimes(graph), expected);
}

TEST(PackedModuleName, SaysWhatIsInside) {
  EXPECT_EQ(packed_module_name({"l.0.q_proj", "l.0.k_proj", "l.0.v_proj"}), "l.0.qkv_proj");
  EXPECT_EQ(packed_module_name({"mlp.gate_proj", "mlp.up_proj"}), "mlp.gate_up_proj");
  EXPECT_EQ(packed_module_name({"a.query", "a.key", "a.value"}), "a.query_key_value");
  EXPECT_EQ(packed_module_name({"w1", "w3"}), "w1_w3");
}

TEST(RunPasses, RefusesUnknownNamesAndTypes) {
  ir::Graph graph("g", ops::builtin_catalogue());
  try {
    run_passes(graph, {.disabled = {"qkw"}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Usage);
    EXPECT_EQ(error.accepted(), "qkv");
  }
  EXPECT_THROW(run_passes(graph, {.precision = DType::I8}), Error);
}

TEST(RunPasses, LeavesOutWhatIsDisabled) {
  ir::Graph graph("g", ops::builtin_catalogue());
  std::vector<PassReport> reports = run_passes(graph, {.disabled = {"remove_no_op_casts"}});
  EXPECT_EQ(reports.size(), pass_list().size() - 2);
}

// The text form has no quantised types, so these stand here.
TEST(Precision, LeavesQuantisedValuesAlone) {
  ir::Graph graph = ir::parse(R"(graph g
    input %so: i32[seqs1] "seq_offsets"
    input %kl: i32[seqs] "kv_lengths"
    input %bt: i32[seqs, blocks] "block_table"
    input %x: f32[tokens, 4] "x"
    const %w: f32[4, 4] "w"
    state %cache: i8[cache_blocks, 2, 1, block_size, 4] "cache.0"
    %q: f32[tokens, 4] "q" = linear(%x, %w, _, _)
    %o = paged_attention(%q, %so, %kl, %bt, %cache) {heads: 1, kv_heads: 1, head_dim: 4}
    output %o
  )",
                              ops::builtin_catalogue());
  for (ir::Value& value : {std::ref(graph.value(4)), std::ref(graph.value(5))}) {
    value.type.quant = QuantSpec{};
  }
  std::string before = ir::print(graph);
  run_passes(graph, {.precision = DType::BF16});
  EXPECT_EQ(ir::print(graph), before);
}

// layers x (norm, fc1, gelu, fc2, add): every pass that matches, matches in every layer.
ir::Graph deep_graph(int layers) {
  using ops::Attributes;
  ir::Graph graph("deep", ops::builtin_catalogue());
  auto weight = [&](const std::string& name, Extents extents) {
    return graph.add_constant(name, Recipe::source({name, DType::BF16, extents}));
  };
  ir::ValueId h = graph.add_input("x", {DType::F32, {Dim::symbol("n"), 8}, {}});
  for (int i = 0; i < layers; ++i) {
    std::string name = "layers." + std::to_string(i);
    ir::ValueId y =
        graph.add_node1({"rms_norm", {}, {h, weight(name + ".norm", {8})}, name + ".norm"});
    y = graph.add_node1({"linear", {}, {y, weight(name + ".fc1.weight", {16, 8})}, name + ".fc1"});
    y = graph.add_node1(
        {"unary", Attributes().set("kind", std::string("silu")), {y}, name + ".act"});
    y = graph.add_node1({"linear", {}, {y, weight(name + ".fc2.weight", {8, 16})}, name + ".fc2"});
    h = graph.add_node1({"binary", Attributes().set("kind", std::string("add")), {y, h}, name});
  }
  graph.add_output("y", h);
  return graph;
}

TEST(RunPasses, TakesTimeThatGrowsWithTheGraph) {
  auto seconds = [](int layers) {
    ir::Graph graph = deep_graph(layers);
    auto started = std::chrono::steady_clock::now();
    run_passes(graph, {.precision = DType::BF16});
    EXPECT_EQ(graph.nodes().size(), static_cast<size_t>(layers) * 3);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  };
  // 20 000 nodes take some tenths of a second; a quadratic pass would take minutes.
  EXPECT_LT(seconds(4000), 10.0);
}

}  // namespace
}  // namespace tenon::passes
