#include "pipelines/llm/test_plan.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "ops/embedding.h"
#include "ops/gather_rows.h"
#include "ops/kv_cache.h"
#include "ops/linear.h"
#include "ops/rope.h"
#include "ops/sample.h"
#include "pipelines/llm/step_inputs.h"
#include "plan/plan_file.h"

namespace tenon::llm {
namespace {

using plan::ValueRole;

constexpr int64_t kHeads = 4, kKvHeads = 2, kHeadDim = 4, kHidden = kTestHidden;
constexpr int64_t kMostSeqs = 8, kMostPositions = 64;

int32_t add_value(plan::Stage& stage, ValueRole role, const std::string& name,
                  const ValueType& type) {
  auto index = static_cast<int32_t>(stage.values.size());
  stage.values.push_back({role, type, {name}, -1, -1, -1});
  if (role == ValueRole::Input) stage.inputs.push_back(index);
  if (role == ValueRole::State) stage.states.push_back(index);
  return index;
}

template <class Op>
void add_step(plan::Stage& stage, const Op& op, std::vector<int32_t> inputs,
              std::vector<int32_t> outputs) {
  auto step = static_cast<int32_t>(stage.steps.size());
  for (int32_t input : inputs) stage.values[input].last_step = step;
  for (int32_t output : outputs) {
    stage.values[output].first_step = stage.values[output].last_step = step;
  }
  stage.steps.push_back({std::string(Op::kName),
                         1,
                         ops::to_attributes(op),
                         std::move(inputs),
                         std::move(outputs),
                         "test." + std::string(Op::kName),
                         plan::Placement::Device,
                         {}});
}

// Outputs live to the end; only intermediates have lifetimes.
void finish_lifetimes(plan::Stage& stage) {
  auto last = static_cast<int32_t>(stage.steps.size()) - 1;
  for (int32_t output : stage.outputs) stage.values[output].last_step = last;
  for (plan::ValueInfo& value : stage.values) {
    if (value.role != ValueRole::Intermediate) value.first_step = value.last_step = -1;
  }
}

template <class Op>
int32_t add_output(plan::Stage& stage, const Op& op, std::vector<int32_t> inputs,
                   const Shape& shape, const std::string& name, DType dtype = DType::F32) {
  int32_t output = add_value(stage, ValueRole::Intermediate, name, {dtype, shape, {}});
  add_step(stage, op, std::move(inputs), {output});
  return output;
}

Dim symbol(std::string_view name) {
  return Dim::symbol(name);
}

std::vector<int32_t> add_decoder_inputs(plan::Stage& stage) {
  const Shape shapes[] = {{symbol("tokens")}, {symbol("embed_rows"), kHidden},
                          {symbol("tokens")}, {symbol("seqs") + 1},
                          {symbol("seqs")},   {symbol("seqs"), symbol("max_blocks")},
                          {symbol("rows")}};
  std::vector<int32_t> inputs;
  for (size_t i = 0; i < kDecoderInputs.size(); ++i) {
    DType dtype = i == 1 ? DType::F32 : DType::I32;
    inputs.push_back(add_value(stage, ValueRole::Input, kDecoderInputs[i], {dtype, shapes[i], {}}));
  }
  return inputs;
}

}  // namespace

std::string test_tokenizer() {
  std::string vocab;
  for (char c = 'a'; c <= 'z'; ++c) {
    vocab += "\"" + std::string(1, c) + "\":" + std::to_string(c - 'a') + ",";
  }
  std::string json = R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[
    {"id":30,"content":"<eos>","single_word":false,"lstrip":false,"rstrip":false,
     "normalized":false,"special":true},
    {"id":31,"content":"<bos>","single_word":false,"lstrip":false,"rstrip":false,
     "normalized":false,"special":true}],
    "normalizer":null,
    "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true},
    "post_processor":{"type":"TemplateProcessing",
      "single":[{"SpecialToken":{"id":"<bos>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
      "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
      "special_tokens":{"<bos>":{"id":"<bos>","ids":[31],"tokens":["<bos>"]}}},
    "decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true},
    "model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":"",
      "end_of_word_suffix":"","fuse_unk":false,"vocab":{)" +
                     vocab + R"("Ġ":26,".":27,"Ã":28,"©":29,"th":32,"he":33,"the":34},
      "merges":["t h","h e","th e"]}})";
  return text::Tokenizer::from_json(json)->serialise();
}

TestModel::TestModel() {
  plan.architecture = "test";
  plan.name = "one random layer";
  plan.pipeline = "llm";
  plan.model.set("vocabulary", kTestVocabulary).set("hidden", kHidden).set("layers", 1);
  plan.model.set("heads", kHeads).set("kv_heads", kKvHeads).set("head_dim", kHeadDim);
  plan.model.set("context", kMostPositions).set("bos", kTestBos);
  plan.model.set("max_batch_size", kMostSeqs).set("max_seq_len", kMostPositions);
  plan.generation.set("eos", data::Json::Array{kTestEos});
  plan.tokenizer = test_tokenizer();
  plan.stages.push_back(decoder());
  plan.stages.push_back(sample());
}

int32_t TestModel::add_weight(plan::Stage& stage, const std::string& name, const Extents& extents,
                              double deviation) {
  Tensor weight = Tensor::make(DType::F32, extents);
  std::mt19937 random(static_cast<uint32_t>(100 + weights_.size()));
  std::normal_distribution<float> normal(0, static_cast<float>(deviation));
  std::generate_n(weight.as<float>(), weight.count(), [&] { return normal(random); });
  int32_t value = add_value(stage, ValueRole::Constant, name, {DType::F32, to_shape(extents), {}});
  stage.values[value].constant = static_cast<int32_t>(weights_.size());
  plan.constants.push_back({name, DType::F32, extents, 0, weight.view().bytes(), "", {}});
  weights_.push_back(std::move(weight));
  return value;
}

plan::Stage TestModel::decoder() {
  plan::Stage stage;
  stage.name = "decoder";
  stage.symbols = {{"tokens", 0, 64},
                   {"embed_rows", 0, 64},
                   {"seqs", 0, kMostSeqs},
                   {"rows", 0, 64},
                   {"max_blocks", 1, 64},
                   {"cache_blocks", 1, kMostSeqs * kMostPositions},
                   {"block_size", 1, kMostPositions}};
  std::vector<int32_t> in = add_decoder_inputs(stage);
  constexpr int64_t kKv = kKvHeads * kHeadDim;
  double deviation = 1 / std::sqrt(static_cast<double>(kHidden));
  auto weight = [&](const char* name, const Extents& extents, double scale) {
    return add_weight(stage, name, extents, scale);
  };
  auto linear = [&](int32_t x, const char* name, int64_t out, double scale) {
    int32_t w = weight(name, {out, kHidden}, scale);
    Shape shape = {stage.values[x].type.shape[0], out};
    return add_output(stage, ops::Linear{}, {x, w}, shape, std::string(name) + ".out");
  };
  const Shape wide = {symbol("tokens"), kHidden}, narrow = {symbol("tokens"), kKv};
  int32_t table = weight("embed", {kTestVocabulary, kHidden}, 1);
  int32_t inv_freq = weight("inv_freq", {kHeadDim / 2}, 1);
  int32_t cache = add_value(
      stage, ValueRole::State, "cache.0",
      {DType::F32, {symbol("cache_blocks"), 2, kKvHeads, symbol("block_size"), kHeadDim}, {}});

  int32_t x = add_output(stage, ops::Embedding{.dtype = "f32"}, {in[0], table, in[1]}, wide, "x");
  int32_t q = linear(x, "q", kHidden, 3 * deviation), k = linear(x, "k", kKv, 3 * deviation);
  int32_t v = linear(x, "v", kKv, deviation);
  ops::Rope rope{.head_dim = kHeadDim};
  q = add_output(stage, rope, {q, in[2], inv_freq}, wide, "q.rope");
  k = add_output(stage, rope, {k, in[2], inv_freq}, narrow, "k.rope");
  add_step(stage, ops::KvAppend{kKvHeads, kHeadDim}, {k, v, in[3], in[4], in[5], cache}, {});
  ops::PagedAttention attention{kHeads, kKvHeads, kHeadDim, 0, 0.5, 0};
  int32_t mixed = add_output(stage, attention, {q, in[3], in[4], in[5], cache}, wide, "mixed");
  int32_t last =
      add_output(stage, ops::GatherRows{}, {mixed, in[6]}, {symbol("rows"), kHidden}, "last");
  int32_t logits = linear(last, "head", kTestVocabulary, 1.5);
  stage.values[logits].names = {"logits"};
  stage.outputs = {logits};
  finish_lifetimes(stage);
  return stage;
}

plan::Stage TestModel::sample() {
  plan::Stage stage;
  stage.name = "sample";
  stage.symbols = {{"rows", 0, kMostSeqs}, {"history_tokens", 0, kMostSeqs * kMostPositions}};
  Dim rows = symbol("rows"), history = symbol("history_tokens");
  auto input = [&](const char* name, DType dtype, const Shape& shape) {
    return add_value(stage, ValueRole::Input, name, {dtype, shape, {}});
  };
  std::vector<int32_t> inputs = {input("logits", DType::F32, {rows, kTestVocabulary}),
                                 input("temperature", DType::F32, {rows}),
                                 input("top_k", DType::I32, {rows}),
                                 input("top_p", DType::F32, {rows}),
                                 input("repetition_penalty", DType::F32, {rows}),
                                 input("uniform", DType::F32, {rows}),
                                 input("history", DType::I32, {history}),
                                 input("history_offsets", DType::I32, {rows + 1})};
  stage.outputs = {add_value(stage, ValueRole::Intermediate, "ids", {DType::I32, {rows}, {}}),
                   add_value(stage, ValueRole::Intermediate, "logprobs", {DType::F32, {rows}, {}})};
  add_step(stage, ops::Sample{}, inputs, stage.outputs);
  finish_lifetimes(stage);
  return stage;
}

std::unique_ptr<Engine> TestModel::make_engine(const EngineOptions& options, bool reference_only) {
  runtime::SessionOptions session_options;
  session_options.reference_only = reference_only;
  return std::make_unique<Engine>(std::make_unique<runtime::Session>(plan, *this, session_options),
                                  options);
}

void TestModel::write(const std::string& path) const {
  plan::PlanWriter writer(path, plan);
  for (size_t i = 0; i < weights_.size(); ++i) {
    writer.write_constant(i, weights_[i].view().byte_span());
  }
  writer.finish();
  writer.commit();
}

}  // namespace tenon::llm
