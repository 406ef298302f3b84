#include <algorithm>

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/functions.cuh"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"
#include "ops/attention.h"

// Attention of many queries to a few keys, as of a picture's cells to the tokens of a prompt: a
// thread a query and head, neighbours in memory beside each other. Keys and values of all heads lie
// in shared memory as f32. What is read and written of q and out takes the time.
namespace tenon::cuda {
namespace {

using device::Any;
constexpr int kThreads = 256;
constexpr int64_t kMostShared = 44 << 10;
constexpr int kQueriesOfThread = 4;
// Of a head in shared memory: eight heads at one place then lie in different banks.
template <int kDim>
constexpr int kPitch = kDim + 4;

struct Params {
  Matrix<Any> q, k, v, out;
  int q_batches, kv_batches, queries, keys, heads;
  float scale;
};

template <int kDim>
__global__ void __launch_bounds__(kThreads) attention_few_keys_kernel(Params p) {
  extern __shared__ __align__(16) float shared[];
  int width = p.heads * kDim, pitch = p.heads * kPitch<kDim>, batch = blockIdx.y;
  float *keys = shared, *values = keys + p.keys * pitch;
  device::let_next_start();
  device::wait_for_previous();
  int64_t first_key = static_cast<int64_t>(p.kv_batches == 1 ? 0 : batch) * p.keys;
  for (int i = threadIdx.x; i < p.keys * width; i += kThreads) {
    int key = i / width, column = i % width;
    int at = key * pitch + column / kDim * kPitch<kDim> + column % kDim;
    keys[at] = get(p.k, first_key + key, column) * p.scale * device::kLog2E;
    values[at] = get(p.v, first_key + key, column);
  }
  __syncthreads();
  int64_t first_query = static_cast<int64_t>(p.q_batches == 1 ? 0 : batch) * p.queries;
  int64_t count = static_cast<int64_t>(p.queries) * p.heads;
  for (int turn = 0; turn < kQueriesOfThread; ++turn) {
    int64_t item =
        (static_cast<int64_t>(blockIdx.x) * kQueriesOfThread + turn) * kThreads + threadIdx.x;
    if (item >= count) return;
    int query = static_cast<int>(item / p.heads), head = static_cast<int>(item % p.heads);
    float q[kDim], out[kDim] = {}, largest = -INFINITY, sum = 0.0f;
    int64_t q_row = p.q.layout.offset(first_query + query);
#pragma unroll
    for (int dim = 0; dim < kDim; dim += 8) {
      float part[8];
      p.q.load(q_row, head * kDim + dim, part);
#pragma unroll
      for (int i = 0; i < 8; ++i) q[dim + i] = part[i];
    }
    for (int key = 0; key < p.keys; ++key) {
      int at = key * pitch + head * kPitch<kDim>;
      const auto* k = reinterpret_cast<const float4*>(keys + at);
      const auto* v = reinterpret_cast<const float4*>(values + at);
      float score = 0.0f;
#pragma unroll
      for (int dim = 0; dim < kDim; dim += 4) {
        float4 four = k[dim / 4];
        score = fmaf(q[dim], four.x, fmaf(q[dim + 1], four.y, score));
        score = fmaf(q[dim + 2], four.z, fmaf(q[dim + 3], four.w, score));
      }
      float top = fmaxf(largest, score);
      float weight = device::exp2_fast(score - top), rescale = device::exp2_fast(largest - top);
      largest = top;
      sum = fmaf(sum, rescale, weight);
#pragma unroll
      for (int dim = 0; dim < kDim; dim += 4) {
        float4 four = v[dim / 4];
        out[dim] = fmaf(weight, four.x, out[dim] * rescale);
        out[dim + 1] = fmaf(weight, four.y, out[dim + 1] * rescale);
        out[dim + 2] = fmaf(weight, four.z, out[dim + 2] * rescale);
        out[dim + 3] = fmaf(weight, four.w, out[dim + 3] * rescale);
      }
    }
    int64_t to = p.out.layout.offset(static_cast<int64_t>(batch) * p.queries + query);
#pragma unroll
    for (int dim = 0; dim < kDim; dim += 8) {
      float part[8];
#pragma unroll
      for (int i = 0; i < 8; ++i) part[i] = out[dim + i] / sum;
      p.out.store(to, head * kDim + dim, part);
    }
  }
}

int64_t shared_bytes(int64_t keys, const ops::Attention& op) {
  return 2 * keys * op.heads * (op.head_dim + 4) * static_cast<int64_t>(sizeof(float));
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = kAttention.supports(desc);
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::Attention>(*desc.attributes);
  if (op.window > 0 || (desc.inputs.size() > 3 && desc.inputs[3].present)) {
    return ops::Support::no("has windows or positions");
  }
  if (op.head_dim != 16 && op.head_dim != 32) return ops::Support::no("head_dim is not 16 or 32");
  int64_t keys = desc.inputs[1].extents[1];
  if (shared_bytes(keys, op) > kMostShared) return ops::Support::no("many keys");
  if (!desc.by_tactic && desc.inputs[0].extents[1] < 256) return ops::Support::no("few queries");
  if (desc.outputs[0].extents[0] > 65535) return ops::Support::no("more than 65535 in a batch");
  return support;
}

void run(const ops::RunArgs& args) {
  const ops::Attention& op = ops::attributes_of<ops::Attention>(args);
  const TensorView &q = args.inputs[0], &k = args.inputs[1], &out = args.outputs[0];
  if (out.count() == 0) return;
  if (!rows_are_vectors(q, 8) || !rows_are_vectors(out, 8)) return kAttention.run(args);
  auto number = [](int64_t value) { return static_cast<int>(value); };
  Params params{.q = matrix_of<Any>(q),
                .k = matrix_of<Any>(k),
                .v = matrix_of<Any>(args.inputs[2]),
                .out = matrix_of<Any>(out),
                .q_batches = number(q.extents[0]),
                .kv_batches = number(k.extents[0]),
                .queries = number(out.extents[1]),
                .keys = number(k.extents[1]),
                .heads = number(op.heads),
                .scale = static_cast<float>(op.scale)};
  constexpr int64_t kOfBlock = kThreads * kQueriesOfThread;
  int64_t blocks = (out.extents[1] * op.heads + kOfBlock - 1) / kOfBlock;
  LaunchShape shape{dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(out.extents[0])),
                    dim3(kThreads), shared_bytes(k.extents[1], op), true};
  auto kernel = op.head_dim == 16 ? attention_few_keys_kernel<16> : attention_few_keys_kernel<32>;
  launch(kernel, "attention_few_keys", shape, stream_of(args), params);
}

}  // namespace

const ops::Implementation kAttentionFewKeys = {.name = "attention__any__few_keys__sm80",
                                               .op = ops::Attention::kName,
                                               .supports = supports,
                                               .prepare = ops::prepare_attributes<ops::Attention>,
                                               .run = run};

}  // namespace tenon::cuda
