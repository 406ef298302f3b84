#include "kernels/layers.h"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <string>

#include "kernels/work.h"
#include "ops/glu.h"
#include "ops/kv_cache.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"

namespace tenon::bench {
namespace {

constexpr int64_t kHidden = 4096, kHeads = 32, kDim = 128, kInner = 11008;
constexpr int kLayers = 8;

// Tensors and operations of some layers.
class Layers {
 public:
  Layers(Machine& machine, const Ragged& step) : machine_(machine) {
    int64_t tokens = step.seqs * step.tokens;
    std::vector<int32_t> positions;
    for (int64_t i = 0; i < tokens; ++i) {
      positions.push_back(static_cast<int32_t>(step.before + i % step.tokens));
    }
    TensorView at = memory_.keep(DeviceTensor::ints(machine, {tokens}, positions));
    std::vector<TensorView> ragged = keep_ragged(memory_, machine, step);
    TensorView inv_freq = random(DType::F32, {kDim / 2}, 0.5f);
    TensorView hidden = random(DType::F32, {tokens, kHidden}, 1.0f);
    TensorView other = random(DType::F32, {tokens, kHidden}, 1.0f);
    TensorView normed = random(DType::F16, {tokens, kHidden}, 1.0f);
    TensorView qkv = random(DType::F16, {tokens, 3 * kHidden}, 1.0f);
    TensorView q = random(DType::F16, {tokens, kHidden}, 1.0f);
    TensorView attended = random(DType::F16, {tokens, kHidden}, 1.0f);
    TensorView both = random(DType::F16, {tokens, 2 * kInner}, 1.0f);
    TensorView inner = random(DType::F16, {tokens, kInner}, 1.0f);
    for (int layer = 0; layer < kLayers; ++layer) {
      TensorView cache = random(DType::F16, step.cache(), 1.0f);
      norm(hidden, normed);
      linear("qkv", normed, 3 * kHidden, {}, qkv);
      add("rope_kv_append", "rope_kv_append",
          ops::to_attributes(ops::RopeKvAppend{kHeads, kHeads, kDim, false, 1.0}),
          {qkv, at, inv_freq, ragged[0], ragged[1], ragged[2], cache}, q);
      add("paged_attention", "paged_attention",
          ops::to_attributes(ops::PagedAttention{kHeads, kHeads, kDim, 0, 0.0884, 0}),
          {q, ragged[0], ragged[1], ragged[2], cache}, attended);
      linear("o", attended, kHidden, hidden, other);
      norm(other, normed);
      linear("gate_up", normed, 2 * kInner, {}, both);
      add("glu", "glu", ops::to_attributes(ops::Glu{}), {both}, inner);
      linear("down", inner, kHidden, other, hidden);
    }
  }

  // Of one layer.
  Measured measure(const std::string& without) {
    return machine_.measure(kLayers, [&] {
      for (const Part& part : parts_) {
        if (part.name != without) part.operation.run(part.operands);
      }
    });
  }
  double weight_bytes() const { return weight_bytes_ / kLayers; }

 private:
  struct Part {
    std::string name;
    Operands operands;
    Operation operation;
  };

  TensorView random(DType dtype, const Extents& extents, float spread) {
    auto seed = static_cast<uint32_t>(memory_.memory.size());
    return memory_.keep(DeviceTensor::random(machine_, dtype, extents, seed, spread));
  }
  void add(const char* name, const char* op, const ops::Attributes& attributes,
           std::vector<TensorView> inputs, const TensorView& output) {
    attributes_.push_back(attributes);
    Operands operands{std::move(inputs), {output}};
    Operation operation = choose(machine_, op, attributes_.back(), operands);
    parts_.push_back({name, std::move(operands), std::move(operation)});
  }
  void norm(const TensorView& x, const TensorView& y) {
    add("rms_norm", "rms_norm", ops::to_attributes(ops::RmsNorm{1e-6, "f16"}),
        {x, random(DType::F16, {kHidden}, 1.0f), {}}, y);
  }
  void linear(const char* name, const TensorView& x, int64_t outputs, const TensorView& residual,
              const TensorView& y) {
    TensorView weight = random(DType::F16, {outputs, x.columns()}, 0.02f);
    weight_bytes_ += static_cast<double>(weight.bytes());
    add(name, "linear", ops::to_attributes(ops::Linear{"", std::string(dtype_name(y.dtype))}),
        {x, weight, {}, residual}, y);
  }

  Machine& machine_;
  Work memory_;
  std::deque<ops::Attributes> attributes_;
  std::deque<Part> parts_;
  double weight_bytes_ = 0;
};

void measure_step(Machine& machine, const Ragged& step) {
  Layers layers(machine, step);
  Measured whole = layers.measure("");
  auto tokens = static_cast<double>(step.seqs * step.tokens);
  double floor = std::max(layers.weight_bytes() / whole.ceilings.read,
                          layers.weight_bytes() * tokens / whole.ceilings.rate(DType::F16));
  std::printf(
      "LLaMA-7B layer, %lld x %lld tokens, %lld positions: %.2f us, %.0f %% of the floor "
      "%.2f us\n",
      static_cast<long long>(step.seqs), static_cast<long long>(step.tokens),
      static_cast<long long>(step.length()), whole.seconds * 1e6, 100 * floor / whole.seconds,
      floor * 1e6);
  for (const char* name :
       {"rms_norm", "qkv", "rope_kv_append", "paged_attention", "o", "gate_up", "glu", "down"}) {
    std::printf("  without %-16s %8.2f us less\n", name,
                (whole.seconds - layers.measure(name).seconds) * 1e6);
  }
  std::fflush(stdout);
}

}  // namespace

void measure_layers(Machine& machine) {
  struct Step {
    int64_t seqs, before, tokens;
  };
  for (const Step& step : {Step{1, 191, 1},
                           {1, 4095, 1},
                           {8, 191, 1},
                           {16, 191, 1},
                           {64, 191, 1},
                           {1, 0, 128},
                           {1, 0, 2048}}) {
    measure_step(machine, {.seqs = step.seqs,
                           .before = step.before,
                           .tokens = step.tokens,
                           .heads = kHeads,
                           .kv_heads = kHeads,
                           .head_dim = kDim});
  }
}

}  // namespace tenon::bench
