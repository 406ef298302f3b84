#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "plan/plan_file.h"

namespace tenon::plan {

// A small plan that uses every kind of field: two stages with a feed, a state, a region, a
// quantised value, attributes of every kind.
inline Plan make_test_plan() {
  Stage decoder;
  decoder.name = "decoder";
  decoder.symbols = {{"tokens", 1, 64}, {"blocks", 1, 1024}};
  Dim tokens = Dim::symbol("tokens");
  auto add = [&](ValueInfo value) { decoder.values.push_back(std::move(value)); };
  add({ValueRole::Input, {DType::I32, {tokens}, {}}, {"ids"}, -1, -1, -1});
  add({ValueRole::Constant, {DType::F32, {4, 8}, {}}, {"embed.weight"}, 0, -1, -1});
  QuantSpec quant{DType::I4, DType::F16, 0, 4, true, false, {3, 5}};
  add({ValueRole::Constant, {DType::I4, {8, 8}, quant}, {"proj.weight"}, 1, -1, -1});
  add({ValueRole::State, {DType::F16, {Dim::symbol("blocks"), 2, 8}, {}}, {"cache"}, -1, -1, -1});
  add({ValueRole::Intermediate, {DType::F32, {tokens, 8}, {}}, {"hidden"}, -1, 0, 1});
  add({ValueRole::Intermediate,
       {DType::F32, {tokens + 1, 8}, {}},
       {"logits", "lm_head"},
       -1,
       1,
       1});
  add({ValueRole::Intermediate, {DType::F32, {ceil_div(tokens, 2), 8}, {}}, {}, -1, 1, 1});
  decoder.inputs = {0};
  decoder.outputs = {5};
  decoder.states = {3};
  Step embedding{"embedding", 1, {}, {1, 0}, {4}, "model.embed", Placement::Device, {}};
  embedding.attributes.set("flag", true)
      .set("count", int64_t{1})
      .set("eps", 1.0)
      .set("kind", "gelu");
  embedding.attributes.set("axes", std::vector<int64_t>{})
      .set("scales", std::vector<double>{1, 1e300});
  embedding.attributes.set("names", std::vector<std::string>{"a", "\xC3\xA9\n"});
  Step inner{"linear", 2, {}, {4, 2, -1}, {6}, "model.proj", Placement::Host, {}};
  Step branch{"branch", 1, {}, {4, 3}, {5}, "", Placement::Device, {Region{{}, {6}, {inner}}}};
  decoder.steps = {embedding, branch};

  Stage sample;
  sample.name = "sample";
  sample.symbols = {{"rows", 0, 64}};
  Shape rows = {Dim::symbol("rows"), 8};
  sample.values = {
      {ValueRole::Input, {DType::F32, rows, {}}, {"scores"}, -1, -1, -1},
      {ValueRole::Intermediate, {DType::I32, {Dim::symbol("rows")}, {}}, {"ids"}, -1, 0, 0}};
  sample.inputs = {0};
  sample.outputs = {1};
  sample.steps = {Step{"sample", 1, {}, {0}, {1}, "", Placement::Device, {}}};

  Plan plan;
  plan.architecture = "llama";
  plan.name = "tiny";
  plan.pipeline = "llm";
  plan.model.set("vocabulary", 4).set("scale", 2.0);
  plan.tokenizer = std::string("raw \0 bytes \xFF", 13);
  plan.chat_template = "{{ messages }}";
  plan.stages = {std::move(decoder), std::move(sample)};
  plan.feeds = {{"decoder", "logits", "sample", "scores"}};
  plan.constants = {{"embed.weight", DType::F32, {4, 8}, 0, 0, "embed", {"model.embed.weight"}},
                    {"proj.weight", DType::U8, {36}, 0, 0, "pack(proj)", {"a", "b"}}};
  plan.graph_before = "graph before\n";
  plan.graph_after = "graph after\n";
  return plan;
}

// Writes the plan with constants whose bytes count up from their index.
inline void write_test_plan(const std::string& path, Plan plan) {
  PlanWriter writer(path, std::move(plan));
  for (size_t i = 0; i < writer.plan().constants.size(); ++i) {
    std::vector<std::byte> bytes(writer.plan().constants[i].bytes);
    for (size_t b = 0; b < bytes.size(); ++b) bytes[b] = static_cast<std::byte>(i + b % 251);
    writer.write_constant(i, bytes);
  }
  writer.finish();
  writer.commit();
}

}  // namespace tenon::plan
