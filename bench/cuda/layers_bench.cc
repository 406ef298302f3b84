#include <cstdio>
#include <deque>
#include <numeric>
#include <string>
#include <vector>

#include "bench.h"
#include "operation.h"
#include "ops/glu.h"
#include "ops/kv_cache.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"

// The layers of LLaMA-7B as a plan runs them for one step, recorded as one graph, without a plan.
// What a kind of kernel costs is what the step gains when it is left out: kernels overlap, so times
// of single ones do not add up.
namespace tenon::bench {
namespace {

constexpr int64_t kHidden = 4096, kHeads = 32, kDim = 128, kInner = 11008, kBlock = 16;
constexpr int kLayers = 8;

struct Step {
  int64_t seqs, fresh, length;  // every sequence has `fresh` new tokens and `length` positions then
};

// Tensors and operations of some layers; their addresses must not change.
class Layers {
 public:
  Layers(Gpu& gpu, const Step& step) : gpu_(gpu) {
    int64_t tokens = step.seqs * step.fresh, blocks = (step.length + kBlock - 1) / kBlock;
    std::vector<int32_t> positions, offsets = {0}, lengths, table(step.seqs * blocks);
    for (int64_t s = 0; s < step.seqs; ++s) {
      for (int64_t i = 0; i < step.fresh; ++i) {
        positions.push_back(static_cast<int32_t>(step.length - step.fresh + i));
      }
      offsets.push_back(static_cast<int32_t>((s + 1) * step.fresh));
      lengths.push_back(static_cast<int32_t>(step.length));
    }
    std::iota(table.begin(), table.end(), 0);
    TensorView at = ints({tokens}, positions), so = ints({step.seqs + 1}, offsets),
               kl = ints({step.seqs}, lengths), bt = ints({step.seqs, blocks}, table);
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
      TensorView cache = random(DType::F16, {step.seqs * blocks, 2, kHeads, kBlock, kDim}, 1.0f);
      norm(hidden, normed);
      linear("qkv", normed, 3 * kHidden, {}, qkv);
      add("rope_kv_append", "rope_kv_append",
          ops::to_attributes(ops::RopeKvAppend{kHeads, kHeads, kDim, false, 1.0}),
          {qkv, at, inv_freq, so, kl, bt, cache}, q);
      add("paged_attention", "paged_attention",
          ops::to_attributes(ops::PagedAttention{kHeads, kHeads, kDim, 0, 0.0884, 0}),
          {q, so, kl, bt, cache}, attended);
      linear("o", attended, kHidden, hidden, other);
      norm(other, normed);
      linear("gate-up", normed, 2 * kInner, {}, both);
      add("glu", "glu", ops::to_attributes(ops::Glu{}), {both}, inner);
      linear("down", inner, kHidden, other, hidden);
    }
  }

  double seconds_of_layer(const std::string& without) {
    double seconds = median_seconds(gpu_, 1, [&] {
      for (Part& part : parts_) {
        if (part.name != without) part.operation.run();
      }
    });
    return seconds / kLayers;
  }
  double weight_bytes() const { return weight_bytes_ / kLayers; }

 private:
  struct Part {
    std::string name;
    Operation operation;
  };

  TensorView random(DType dtype, const Extents& extents, float spread) {
    tensors_.push_back(
        DeviceTensor::random(gpu_, dtype, extents, static_cast<uint32_t>(tensors_.size()), spread));
    return tensors_.back().view();
  }
  TensorView ints(const Extents& extents, std::vector<int32_t>& values) {
    tensors_.push_back(DeviceTensor::copy_of(gpu_, TensorView(values.data(), DType::I32, extents)));
    return tensors_.back().view();
  }
  void add(const char* name, const char* op, ops::Attributes attributes,
           std::vector<TensorView> inputs, const TensorView& output) {
    parts_.push_back({name, Operation(gpu_, op, std::move(attributes), std::move(inputs), output)});
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

  Gpu& gpu_;
  std::deque<DeviceTensor> tensors_;
  std::deque<Part> parts_;
  double weight_bytes_ = 0;
};

}  // namespace

void bench_layers(Gpu& gpu, const Ceilings& ceilings) {
  for (const Step& step : {Step{1, 1, 192},
                           {1, 1, 4096},
                           {8, 1, 192},
                           {16, 1, 192},
                           {64, 1, 192},
                           {1, 128, 128},
                           {1, 2048, 2048}}) {
    Layers layers(gpu, step);
    double whole = layers.seconds_of_layer("");
    double tokens = static_cast<double>(step.seqs * step.fresh);
    double floor = std::max(layers.weight_bytes() / ceilings.read,
                            layers.weight_bytes() * tokens / ceilings.gemm);
    std::printf(
        "LLaMA-7B layer, %ld x %ld tokens, %ld positions: %.2f us, %.0f %% of the floor "
        "%.2f us; 32 layers %.3f ms\n",
        static_cast<long>(step.seqs), static_cast<long>(step.fresh), static_cast<long>(step.length),
        whole * 1e6, 100 * floor / whole, floor * 1e6, 32e3 * whole);
    for (const char* name :
         {"rms_norm", "qkv", "rope_kv_append", "paged_attention", "o", "gate-up", "glu", "down"}) {
      std::printf("  without %-16s %8.2f us less\n", name,
                  (whole - layers.seconds_of_layer(name)) * 1e6);
    }
  }
}

}  // namespace tenon::bench
