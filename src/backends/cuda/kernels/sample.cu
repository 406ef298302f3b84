#include "ops/sample.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/select.cuh"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

// What ops/sample.h leaves open is decided as in the reference, which states it. A block a row.
// The likeliest tokens, up to 2048, are sorted in shared memory; a top-k, top-p or draw that needs
// more searches the whole row, which is right for any distribution and slower.
namespace tenon::cuda {
namespace {

using device::Any;

// Loads under way at once; more of a type known at run time do not fit the registers.
template <class T>
inline constexpr int kDepth = std::is_same_v<T, Any> ? 4 : 16;

template <class T>
struct Column {
  const T* data;
  int64_t step;
  __device__ T operator[](int64_t row) const { return data[row * step]; }
};

template <class T>
struct SampleParams {
  Matrix<T> logits;
  int vocab;
  Column<float> temperature, top_p, penalty, uniform;
  Column<int32_t> top_k, history, history_offsets;
  const int32_t* banned;  // [rows, banned_count]
  int64_t banned_row, banned_step, banned_count;
  float* processed;  // [rows, vocab]
  int32_t* ids;
  int64_t ids_step;
  float* logprobs;
  int64_t logprobs_step;

  __device__ float given(int64_t row_offset, int id) const {
    float value[1];
    logits.load(row_offset, id, value);
    return value[0];
  }
};

// Writes the row's logits after penalties and bans; returns the largest given one. A NaN is never
// drawn. A token of history is changed from its given logit, so that it counts once.
template <class T>
__device__ float process_logits(const SampleParams<T>& p, int64_t row, int64_t row_offset,
                                float* processed, float* scratch) {
  float largest = -INFINITY;
  device::for_each_token<kDepth<T>>(
      p.vocab, [&](int id) { return p.given(row_offset, id); },
      [&](int id, float given) {
        processed[id] = given != given ? -INFINITY : given;
        if (given > largest) largest = given;
      });
  __syncthreads();
  float penalty = p.penalty[row];
  int end = p.history_offsets[row + 1];
  for (int i = p.history_offsets[row] + static_cast<int>(threadIdx.x); i < end; i += blockDim.x) {
    int id = p.history[i];
    if (id < 0 || id >= p.vocab) continue;
    float given = p.given(row_offset, id);
    if (given != given) continue;
    processed[id] = given > 0 ? given / penalty : given * penalty;
  }
  __syncthreads();
  for (int64_t i = threadIdx.x; i < p.banned_count; i += blockDim.x) {
    int id = p.banned[row * p.banned_row + i * p.banned_step];
    if (id >= 0 && id < p.vocab) processed[id] = -INFINITY;
  }
  return device::block_reduce(largest, scratch, device::Max());  // ends with a barrier
}

struct Best {
  device::Rank rank;
  float exponentials;  // sum of exp(given - largest given)
};

template <class T>
__device__ Best find_best(const SampleParams<T>& p, int64_t row_offset, const float* processed,
                          float largest, float* scratch, device::SelectMemory& memory) {
  Best best{0, 0};
  device::for_each_token<kDepth<T> / 2>(
      p.vocab, [&](int id) { return make_float2(p.given(row_offset, id), processed[id]); },
      [&](int id, float2 logit) {
        best.exponentials += expf(logit.x - largest);
        device::Rank rank = device::rank_of(logit.y, id);
        if (rank > best.rank) best.rank = rank;
      });
  best.rank = device::block_reduce(best.rank, memory.scratch, device::Max());
  best.exponentials = device::block_reduce(best.exponentials, scratch, device::Sum());
  return best;
}

// `part` of a sum, at least 1 and at most the sum.
__device__ device::Weight share(double part, device::Weight sum) {
  double wanted = part * static_cast<double>(sum);
  if (!(wanted >= 1)) return 1;
  return wanted >= static_cast<double>(sum) ? sum : static_cast<device::Weight>(wanted);
}

// The token drawn from a row whose likeliest is `largest`, a finite logit.
template <class T>
__device__ int draw_token(const SampleParams<T>& p, int64_t row, const float* logits, float largest,
                          device::SelectMemory& memory) {
  using device::Rank, device::Weight;
  device::Softmax softmax{largest, p.temperature[row]};
  int top_k = p.top_k[row];
  int k = top_k > 0 && top_k < p.vocab ? top_k : p.vocab;
  int want = k <= device::kBins ? k : device::kBins / 2;
  Rank lowest_candidate = 0;
  if (p.vocab > device::kBins) {
    lowest_candidate = device::select_rank(logits, p.vocab, 0, device::AllTokens(), 0, want,
                                           device::kBins, device::CountOne(), memory);
  }
  int count = device::sort_candidates(logits, p.vocab, lowest_candidate, memory);
  int kept = count < k ? count : k;
  Weight in_candidates = device::sum_candidates(kept, softmax, memory);
  // What may be drawn: tokens of rank >= lowest, of weight `sum` in all.
  Rank lowest = 0;
  Weight sum = in_candidates;
  bool searches_row = kept < k;
  if (searches_row) {
    // The bins overwrite the sums: they are made again where the candidates turn out to be enough.
    if (k < p.vocab) {
      lowest = device::select_rank(logits, p.vocab, 0, device::AllTokens(), 0, k, k,
                                   device::CountOne(), memory);
    }
    sum = device::total_weight(logits, p.vocab, lowest, softmax, memory);
    device::sum_candidates(kept, softmax, memory);
  }
  float top_p = p.top_p[row];
  if (top_p < 1) {
    double part = static_cast<double>(top_p);
    Weight need = share(part, sum);
    // Rounded up: the set must reach top_p.
    if (static_cast<double>(need) < part * static_cast<double>(sum) && need < sum) ++need;
    if (need <= in_candidates) {
      sum = memory.sums[device::find_candidate(need, memory)];
    } else {
      lowest = device::select_weight(logits, p.vocab, lowest, need, softmax, memory);
      sum = device::total_weight(logits, p.vocab, lowest, softmax, memory);
      device::sum_candidates(kept, softmax, memory);
    }
  }
  // The first token whose sum exceeds uniform * sum.
  double wanted = static_cast<double>(p.uniform[row]) * static_cast<double>(sum);
  Weight need = wanted >= static_cast<double>(sum) ? sum : static_cast<Weight>(wanted) + 1;
  if (need > sum) need = sum;
  if (need <= in_candidates) {
    return device::id_of(memory.ranks[device::find_candidate(need, memory)]);
  }
  return device::id_of(device::select_weight(logits, p.vocab, lowest, need, softmax, memory));
}

template <class T>
__global__ void __launch_bounds__(device::kSelectThreads) sample_kernel(SampleParams<T> p) {
  __shared__ device::SelectMemory memory;
  __shared__ float scratch[device::kWarp];
  device::wait_for_previous();
  device::let_next_start();
  int64_t row = blockIdx.x, row_offset = p.logits.layout.offset(row);
  float* processed = p.processed + row * p.vocab;
  float largest_given = process_logits(p, row, row_offset, processed, scratch);
  Best best = find_best(p, row_offset, processed, largest_given, scratch, memory);
  float largest = device::logit_of(best.rank);
  int id = device::id_of(best.rank);
  if (p.temperature[row] > 0 && isfinite(largest)) {
    id = draw_token(p, row, processed, largest, memory);
  }
  if (threadIdx.x == 0) {
    float given = p.given(row_offset, id);
    p.ids[row * p.ids_step] = id;
    p.logprobs[row * p.logprobs_step] = given - largest_given - logf(best.exponentials);
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_floats(desc, {0}, {});
  if (!support.ok) return support;
  for (size_t i : {1, 3, 4, 5}) {
    if (desc.inputs[i].dtype != DType::F32) return ops::Support::no("a parameter is not f32");
  }
  if (desc.outputs[1].dtype != DType::F32) return ops::Support::no("logprobs are not f32");
  if (desc.inputs[0].extents[1] > 1 << device::kIdBits) {
    return ops::Support::no("the vocabulary has more than 2^23 tokens");
  }
  return support;
}

int64_t workspace_bytes(const ops::OpDesc& desc) {
  return desc.inputs[0].extents.count() * static_cast<int64_t>(sizeof(float));
}

template <class T>
Column<T> column(const TensorView& view) {
  return {view.as<const T>(), view.strides[0]};
}

template <class T>
void start(const ops::RunArgs& args) {
  const TensorView &logits = args.inputs[0], &ids = args.outputs[0], &logprobs = args.outputs[1];
  TensorView banned = input_or_none(args, 8);
  SampleParams<T> params{.logits = matrix_of<T>(logits),
                         .vocab = static_cast<int>(logits.extents[1]),
                         .temperature = column<float>(args.inputs[1]),
                         .top_p = column<float>(args.inputs[3]),
                         .penalty = column<float>(args.inputs[4]),
                         .uniform = column<float>(args.inputs[5]),
                         .top_k = column<int32_t>(args.inputs[2]),
                         .history = column<int32_t>(args.inputs[6]),
                         .history_offsets = column<int32_t>(args.inputs[7]),
                         .banned = banned.as<const int32_t>(),
                         .banned_row = banned.defined() ? banned.strides[0] : 0,
                         .banned_step = banned.defined() ? banned.strides[1] : 0,
                         .banned_count = banned.defined() ? banned.extents[1] : 0,
                         .processed = reinterpret_cast<float*>(args.workspace.data()),
                         .ids = ids.as<int32_t>(),
                         .ids_step = ids.strides[0],
                         .logprobs = logprobs.as<float>(),
                         .logprobs_step = logprobs.strides[0]};
  LaunchShape shape{dim3(static_cast<unsigned>(logits.extents[0])), dim3(device::kSelectThreads), 0,
                    true};
  launch(sample_kernel<T>, kSample.name, shape, stream_of(args), params);
}

void run(const ops::RunArgs& args) {
  if (args.inputs[0].dtype == DType::F32) {
    start<float>(args);
  } else {
    start<Any>(args);
  }
}

}  // namespace

const ops::Implementation kSample = {.name = "sample__any__row__sm80",
                                     .op = ops::Sample::kName,
                                     .supports = supports,
                                     .workspace_bytes = workspace_bytes,
                                     .run = run};

}  // namespace tenon::cuda
