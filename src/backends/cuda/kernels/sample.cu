#include "ops/sample.h"

#include <algorithm>

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/select.cuh"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

// What ops/sample.h leaves open is decided as in the reference, which states it. A cluster of
// blocks a row, each with a slice of it in shared memory: read once, searched often. The likeliest
// tokens, up to 2048, are sorted; a top-k, top-p or draw that needs more searches the whole row,
// which is right for any distribution and slower. One block a row took 550 us for top-p 0.9 over
// 128k flat logits.
namespace tenon::cuda {
namespace {

using device::Any;

constexpr int kMostBlocks = 8;     // of a cluster that any card takes
constexpr int kLeastSlice = 2048;  // tokens that are worth a block
constexpr int64_t kMostSliceBytes = 120 << 10;

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
  float* processed;  // [rows, vocab]; null where slices lie in shared memory
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

// One row's parameters, read at once: each would be waited for alone.
struct Wishes {
  float temperature, top_p, penalty, uniform;
  int top_k, history_begin, history_end;
};
template <class T>
__device__ Wishes wishes_of(const SampleParams<T>& p, int64_t row) {
  return {p.temperature[row],
          p.top_p[row],
          p.penalty[row],
          p.uniform[row],
          p.top_k[row],
          p.history_offsets[row],
          p.history_offsets[row + 1]};
}

// The block's part of a row, as it becomes the logits that are drawn from.
template <class T>
class Row {
 public:
  __device__ Row(const SampleParams<T>& p, int64_t row, int first, int count, float* logits)
      : p_(p),
        row_(row),
        offset_(p.logits.layout.offset(row)),
        first_(first),
        count_(count),
        logits_(logits) {}

  // Brings the given logits. Returns the largest; a NaN is never drawn, and remembered.
  __device__ float load() {
    float largest = -INFINITY;
#pragma unroll 4
    for (int i = threadIdx.x; i < count_; i += device::kSelectThreads) {
      float given = p_.given(offset_, first_ + i);
      logits_[i] = given != given ? -INFINITY : given;
      if (given != given) nan_ = given;
      if (given > largest) largest = given;
    }
    return largest;
  }

  // The thread's sum of exp(given - largest given); NaN where a given logit is.
  __device__ float exponentials(float largest) const {
    float sum = nan_;
#pragma unroll 4
    for (int i = threadIdx.x; i < count_; i += device::kSelectThreads) {
      sum += expf(logits_[i] - largest);
    }
    return sum;
  }

  // A token of history is changed from its given logit, so that it counts once.
  __device__ void apply_penalties(const Wishes& wishes) {
    __syncthreads();
    for (int i = wishes.history_begin + static_cast<int>(threadIdx.x); i < wishes.history_end;
         i += device::kSelectThreads) {
      int id = p_.history[i];
      if (!has(id)) continue;
      float given = p_.given(offset_, id);
      if (given == given)
        logits_[id - first_] = given > 0 ? given / wishes.penalty : given * wishes.penalty;
    }
    __syncthreads();
    for (int64_t i = threadIdx.x; i < p_.banned_count; i += device::kSelectThreads) {
      int id = p_.banned[row_ * p_.banned_row + i * p_.banned_step];
      if (has(id)) logits_[id - first_] = -INFINITY;
    }
    __syncthreads();
  }

  // The thread's best.
  __device__ device::Rank best() const {
    device::Rank best = 0;
#pragma unroll 4
    for (int i = threadIdx.x; i < count_; i += device::kSelectThreads) {
      device::Rank rank = device::rank_of(logits_[i], first_ + i);
      if (rank > best) best = rank;
    }
    return best;
  }

  __device__ float given(int id) const {
    return p_.given(offset_, id);
  }

 private:
  // An id outside the vocabulary is in no block's part.
  __device__ bool has(int id) const {
    return id >= first_ && id - first_ < count_;
  }

  const SampleParams<T>& p_;
  int64_t row_, offset_;
  int first_, count_;
  float* logits_;
  float nan_ = 0.0f;
};

// `part` of a sum, at least 1 and at most the sum.
__device__ device::Weight share(double part, device::Weight sum) {
  double wanted = part * static_cast<double>(sum);
  if (!(wanted >= 1)) return 1;
  return wanted >= static_cast<double>(sum) ? sum : static_cast<device::Weight>(wanted);
}

// The least sum that holds `part` of a sum.
__device__ device::Weight least_share(float part, device::Weight sum) {
  double exact = static_cast<double>(part);
  device::Weight need = share(exact, sum);
  // Rounded up: the set must reach it.
  if (static_cast<double>(need) < exact * static_cast<double>(sum) && need < sum) ++need;
  return need;
}
// The sum that the drawn token's must reach: the first that exceeds uniform * sum.
__device__ device::Weight drawn_share(float uniform, device::Weight sum) {
  double wanted = static_cast<double>(uniform) * static_cast<double>(sum);
  device::Weight need =
      wanted >= static_cast<double>(sum) ? sum : static_cast<device::Weight>(wanted) + 1;
  return need > sum ? sum : need;
}

// The token drawn from a row whose likeliest is `largest`, a finite logit.
__device__ int draw_token(const Wishes& wishes, int vocab, float largest,
                          device::SelectMemory& memory, device::Selector& selector) {
  using device::Rank, device::Weight;
  device::Softmax softmax{largest, wishes.temperature};
  int k = wishes.top_k > 0 && wishes.top_k < vocab ? wishes.top_k : vocab;
  if (k <= device::kBins) {
    // All that may be drawn is sorted.
    Rank lowest = 0;
    if (vocab > device::kBins) {
      lowest = selector.select_rank(0, device::AllTokens(), 0, k, k <= 256 ? 512 : device::kBins,
                                    device::CountOne());
    }
    int count = selector.gather(lowest, device::AllTokens());
    Weight sum = selector.sum_candidates(min(count, k), softmax);
    if (wishes.top_p < 1) {
      sum = memory.sums[selector.find_candidate(least_share(wishes.top_p, sum))];
    }
    return device::id_of(memory.ranks[selector.find_candidate(drawn_share(wishes.uniform, sum))]);
  }
  Rank lowest = 0;
  if (k < vocab) {
    lowest = selector.select_rank(0, device::AllTokens(), 0, k, k, device::CountOne());
  }
  Weight sum = selector.make_weights(lowest, softmax), reached = 0;
  if (wishes.top_p < 1) {
    lowest = selector.find_weight(lowest, least_share(wishes.top_p, sum), softmax, sum);
  }
  return device::id_of(
      selector.find_weight(lowest, drawn_share(wishes.uniform, sum), softmax, reached));
}

template <class T>
__global__ void __launch_bounds__(device::kSelectThreads) sample_kernel(SampleParams<T> p) {
  extern __shared__ __align__(16) unsigned char dynamic[];
  auto& memory = *reinterpret_cast<device::SelectMemory*>(dynamic);
  device::let_next_start();
  device::wait_for_previous();
  device::Peers peers;
  int64_t row = blockIdx.x / peers.count;
  int length = (p.vocab + peers.count - 1) / peers.count, first = min(peers.rank * length, p.vocab);
  int count = min(length, p.vocab - first);
  float* logits = p.processed ? p.processed + row * p.vocab + first
                              : reinterpret_cast<float*>(dynamic + sizeof(device::SelectMemory));
  __shared__ Wishes wishes;  // known to all behind the first reduction
  if (threadIdx.x == 0) wishes = wishes_of(p, row);
  device::Selector selector(peers, {logits, first, count}, memory);
  Row<T> part(p, row, first, count, logits);
  float largest_given = selector.reduce(part.load(), device::Max());
  float exponentials = selector.reduce(part.exponentials(largest_given), device::Sum());
  part.apply_penalties(wishes);
  device::Rank best = selector.reduce(part.best(), device::Max());
  float largest = device::logit_of(best);
  int id = device::id_of(best);
  if (wishes.temperature > 0 && isfinite(largest)) {
    id = draw_token(wishes, p.vocab, largest, memory, selector);
  }
  if (threadIdx.x == 0 && peers.rank == 0) {
    float given = part.given(id);
    p.ids[row * p.ids_step] = id;
    p.logprobs[row * p.logprobs_step] = given - largest_given - logf(exponentials);
  }
  peers.sync();  // a block's shared memory lives until all have read it
}

// How a row is divided.
struct Division {
  unsigned blocks;
  int64_t slice_bytes;  // of a block
  bool in_shared;       // or in the workspace
};
Division divide(int64_t vocab, bool has_clusters) {
  int64_t blocks = has_clusters ? std::clamp<int64_t>(vocab / kLeastSlice, 1, kMostBlocks) : 1;
  int64_t bytes = (vocab + blocks - 1) / blocks * static_cast<int64_t>(sizeof(float));
  return {static_cast<unsigned>(blocks), bytes, bytes <= kMostSliceBytes};
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
  // Of a card without clusters, which needs it sooner.
  bool in_shared = divide(desc.inputs[0].extents[1], false).in_shared;
  return in_shared ? 0 : desc.inputs[0].extents.count() * static_cast<int64_t>(sizeof(float));
}

template <class T>
Column<T> column(const TensorView& view) {
  return {view.as<const T>(), view.strides[0]};
}

template <class T>
void start(const ops::RunArgs& args) {
  const TensorView &logits = args.inputs[0], &ids = args.outputs[0], &logprobs = args.outputs[1];
  TensorView banned = input_or_none(args, 8);
  cudaStream_t stream = stream_of(args);
  Division division = divide(logits.extents[1], current_card().is_hopper_or_newer());
  SampleParams<T> params{
      .logits = matrix_of<T>(logits),
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
      .processed = division.in_shared ? nullptr : reinterpret_cast<float*>(args.workspace.data()),
      .ids = ids.as<int32_t>(),
      .ids_step = ids.strides[0],
      .logprobs = logprobs.as<float>(),
      .logprobs_step = logprobs.strides[0]};
  int64_t shared = static_cast<int64_t>(sizeof(device::SelectMemory));
  if (division.in_shared) shared += division.slice_bytes;
  auto kernel = sample_kernel<T>;
  allow_shared_bytes(reinterpret_cast<const void*>(kernel), shared);
  LaunchShape shape{dim3(static_cast<unsigned>(logits.extents[0]) * division.blocks),
                    dim3(device::kSelectThreads), shared, true, division.blocks};
  launch(kernel, kSample.name, shape, stream, params);
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
