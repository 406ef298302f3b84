#include "ops/sample.h"

#include <cmath>
#include <cstring>

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/ranges.h"
#include "backends/cpu/kernels/row_access.h"
#include "backends/cpu/kernels/tables.h"
#include "backends/cpu/kernels/token_ranking.h"

// What ops/sample.h leaves open is decided as in the reference, which states it.
namespace tenon::cpu {
#if defined(TENON_CPU_SIMD)
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

struct Buffers {
  float* logits;            // [threads, vocab]: after penalties
  RankedToken* candidates;  // [threads, vocab]
};

Buffers take_buffers(int64_t vocab, Workspace& workspace) {
  int64_t threads = process_thread_pool().size();
  return {.logits = workspace.take<float>(threads * vocab),
          .candidates = workspace.take<RankedToken>(threads * vocab)};
}

template <class T>
T element(const TensorView& view, int64_t index) {
  return view.as<const T>()[index * view.strides[0]];
}

// One row of the batch.
class SampledRow {
 public:
  SampledRow(const ops::RunArgs& args, const RowKernels& rows, int64_t row)
      : args_(args), rows_(rows), row_(row), vocab_(args.inputs[0].extents[1]) {
    const TensorView& logits = args.inputs[0];
    given_ = logits.as<const float>() + row * logits.strides[0];
  }

  void draw(float* logits, RankedToken* candidates) {
    const float* processed = given_;
    bool greedy = element<float>(args_.inputs[1], row_) <= 0;
    // The common case needs no copy: greedy, and nothing to change.
    if (!greedy || changes_logits()) {
      change_logits(logits);
      processed = logits;
    }
    int64_t best = index_of_largest(processed, vocab_, rows_);
    int32_t id = static_cast<int32_t>(best);
    if (!greedy && processed[best] != kMinusInfinity) {
      TokenRanking ranking(processed, vocab_, candidates);
      id = draw_token(ranking, processed, processed[best], parameters(), rows_);
    }
    const TensorView &ids = args_.outputs[0], &logprobs = args_.outputs[1];
    ids.as<int32_t>()[row_ * ids.strides[0]] = id;
    logprobs.as<float>()[row_ * logprobs.strides[0]] = log_probability(id);
  }

 private:
  DrawParameters parameters() const {
    return {.temperature = element<float>(args_.inputs[1], row_),
            .top_p = element<float>(args_.inputs[3], row_),
            .uniform = element<float>(args_.inputs[5], row_),
            .top_k = element<int32_t>(args_.inputs[2], row_)};
  }
  int64_t history_begin() const { return element<int32_t>(args_.inputs[7], row_); }
  int64_t history_end() const { return element<int32_t>(args_.inputs[7], row_ + 1); }
  bool has_bans() const { return args_.inputs.size() > 8 && args_.inputs[8].defined(); }
  bool changes_logits() const { return has_bans() || history_end() > history_begin(); }

  // A NaN is never drawn; a token of history is changed from its given logit, so once.
  void change_logits(float* logits) const {
    for (int64_t i = 0; i < vocab_; ++i) {
      logits[i] = given_[i] == given_[i] ? given_[i] : kMinusInfinity;
    }
    float penalty = element<float>(args_.inputs[4], row_);
    for (int64_t i = history_begin(); i < history_end(); ++i) {
      int64_t id = element<int32_t>(args_.inputs[6], i);
      if (id < 0 || id >= vocab_ || std::isnan(given_[id])) continue;
      logits[id] = given_[id] > 0 ? given_[id] / penalty : given_[id] * penalty;
    }
    if (!has_bans()) return;
    const TensorView& banned = args_.inputs[8];
    for (int64_t i = 0; i < banned.extents[1]; ++i) {
      int64_t id = banned.as<const int32_t>()[row_ * banned.strides[0] + i * banned.strides[1]];
      if (id >= 0 && id < vocab_) logits[id] = kMinusInfinity;
    }
  }

  // Before penalties; NaN where any logit is, so that the fault shows.
  float log_probability(int32_t id) const {
    float largest = given_[index_of_largest(given_, vocab_, rows_)];
    double sum = sum_of_exponentials(given_, vocab_, largest, 1, rows_);
    return static_cast<float>(double{given_[id]} - largest - std::log(sum));
  }

  const ops::RunArgs& args_;
  const RowKernels& rows_;
  int64_t row_, vocab_;
  const float* given_;
};

template <const Kernels& kernels>
ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = cpu_supports(kernels.isa);
  if (!support.ok) return support;
  for (size_t i : {0, 1, 3, 4, 5}) {
    if (desc.inputs[i].dtype != DType::F32) return ops::Support::no("an input is not f32");
  }
  return support;
}

int64_t workspace_bytes(const ops::OpDesc& desc) {
  Workspace workspace;
  take_buffers(desc.inputs[0].extents[1], workspace);
  return workspace.needed();
}

template <const Kernels& kernels>
void run(const ops::RunArgs& args) {
  const TensorView& logits = args.inputs[0];
  int64_t vocab = logits.extents[1];
  TENON_CHECK(vocab > 0 && logits.strides[1] == 1);
  Workspace workspace(args.workspace);
  Buffers buffers = take_buffers(vocab, workspace);
  for_ranges(logits.extents[0], 1, [&](int thread, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      SampledRow(args, *kernels.rows, row)
          .draw(buffers.logits + thread * vocab, buffers.candidates + thread * vocab);
    }
  });
}

template <const Kernels& kernels>
constexpr ops::Implementation implementation(std::string_view name) {
  return {.name = name,
          .op = ops::Sample::kName,
          .supports = supports<kernels>,
          .prepare = ops::prepare_attributes<ops::Sample>,
          .workspace_bytes = workspace_bytes,
          .run = run<kernels>};
}

}  // namespace

TENON_CPU_EACH_ISA(Sample, "sample__f32__")
#endif
}  // namespace tenon::cpu
