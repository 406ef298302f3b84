#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/functions.cuh"
#include "backends/cuda/kernels/device/reduce.cuh"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"
#include "ops/attention.h"

// Attention of a few queries to many keys in any mix of types, as of a prompt's tokens to the cells
// of a picture where q and k stayed f32: by plain multiply-adds, since tensor cores would round
// them. A block takes some queries of a head; a thread goes over every 256th key for all of them,
// and what the threads found is put together at the end. Reading k and v takes the time.
namespace tenon::cuda {
namespace {

using device::Any;
constexpr int kThreads = 256, kWarps = kThreads / 32;

// What fits the registers of a thread beside its key and value.
template <int kDim>
constexpr int kQueries = 64 / kDim;

struct Params {
  Matrix<Any> q, k, v, out;
  int q_batches, kv_batches, queries, keys;
  float scale;
};

// What one thread, warp or block found for a query.
template <int kDim>
struct Found {
  float largest = -INFINITY, sum = 0.0f, out[kDim] = {};

  __device__ __forceinline__ void see(float score, const float (&value)[kDim]) {
    if (score > largest) {
      rescale(device::exp2_fast(largest - score));
      largest = score;
    }
    float weight = device::exp2_fast(score - largest);
    sum += weight;
#pragma unroll
    for (int i = 0; i < kDim; ++i) out[i] = fmaf(weight, value[i], out[i]);
  }
  __device__ __forceinline__ void rescale(float by) {
    sum *= by;
#pragma unroll
    for (int i = 0; i < kDim; ++i) out[i] *= by;
  }
  // What the lanes of the warp found, known to all of them.
  __device__ __forceinline__ void join_lanes() {
    float top = device::warp_reduce(largest, device::Max{});
    // A lane that saw no key has nothing to add.
    rescale(largest == -INFINITY ? 0.0f : device::exp2_fast(largest - top));
    largest = top;
    sum = device::warp_reduce(sum, device::Sum{});
#pragma unroll
    for (int i = 0; i < kDim; ++i) out[i] = device::warp_reduce(out[i], device::Sum{});
  }
};

template <int kDim>
__device__ __forceinline__ void load_head(const Matrix<Any>& from, int64_t row, int64_t column,
                                          float (&to)[kDim]) {
  int64_t at = from.layout.offset(row);
#pragma unroll
  for (int dim = 0; dim < kDim; dim += 8) {
    float part[8];
    from.load(at, column + dim, part);
#pragma unroll
    for (int i = 0; i < 8; ++i) to[dim + i] = part[i];
  }
}

template <int kDim>
__global__ void __launch_bounds__(kThreads) attention_few_wide_kernel(Params p) {
  constexpr int kCount = kQueries<kDim>;
  __shared__ __align__(16) float queries[kCount][kDim];
  __shared__ float found_by_warps[kWarps][kCount][kDim + 2];
  device::let_next_start();
  device::wait_for_previous();
  int first = static_cast<int>(blockIdx.y) * kCount, batch = static_cast<int>(blockIdx.z);
  int64_t column = static_cast<int64_t>(blockIdx.x) * kDim;
  int64_t q_row = static_cast<int64_t>(p.q_batches == 1 ? 0 : batch) * p.queries;
  int64_t key_row = static_cast<int64_t>(p.kv_batches == 1 ? 0 : batch) * p.keys;
  int warp = static_cast<int>(threadIdx.x) / 32;
  for (int i = threadIdx.x; i < kCount * kDim; i += kThreads) {
    // Queries behind the last are that one again, and are not written.
    int64_t row = q_row + min(first + i / kDim, p.queries - 1);
    queries[i / kDim][i % kDim] = get(p.q, row, column + i % kDim) * p.scale * device::kLog2E;
  }
  __syncthreads();

  Found<kDim> found[kCount];
  for (int key = threadIdx.x; key < p.keys; key += kThreads) {
    float k[kDim], v[kDim];
    load_head(p.k, key_row + key, column, k);
    load_head(p.v, key_row + key, column, v);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const auto* q = reinterpret_cast<const float4*>(queries[i]);
      float score = 0.0f;
#pragma unroll
      for (int dim = 0; dim < kDim; dim += 4) {
        float4 four = q[dim / 4];
        score = fmaf(four.x, k[dim], fmaf(four.y, k[dim + 1], score));
        score = fmaf(four.z, k[dim + 2], fmaf(four.w, k[dim + 3], score));
      }
      found[i].see(score, v);
    }
  }
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    found[i].join_lanes();
    if (threadIdx.x % 32 != 0) continue;
    float* to = found_by_warps[warp][i];
    to[kDim] = found[i].largest, to[kDim + 1] = found[i].sum;
#pragma unroll
    for (int dim = 0; dim < kDim; ++dim) to[dim] = found[i].out[dim];
  }
  __syncthreads();

  for (int i = threadIdx.x; i < kCount * kDim; i += kThreads) {
    int query = i / kDim, dim = i % kDim;
    if (first + query >= p.queries) break;
    float top = -INFINITY, sum = 0.0f, out = 0.0f;
    for (int of = 0; of < kWarps; ++of) top = fmaxf(top, found_by_warps[of][query][kDim]);
    for (int of = 0; of < kWarps; ++of) {
      const float* part = found_by_warps[of][query];
      float weight = part[kDim] == -INFINITY ? 0.0f : device::exp2_fast(part[kDim] - top);
      sum = fmaf(weight, part[kDim + 1], sum);
      out = fmaf(weight, part[dim], out);
    }
    float value[1] = {out / sum};
    int64_t row = static_cast<int64_t>(batch) * p.queries + first + query;
    p.out.store(p.out.layout.offset(row), column + dim, value);
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = kAttention.supports(desc);
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::Attention>(*desc.attributes);
  if (op.window > 0 || (desc.inputs.size() > 3 && desc.inputs[3].present)) {
    return ops::Support::no("has windows or positions");
  }
  if (op.head_dim != 16 && op.head_dim != 32) return ops::Support::no("head_dim is not 16 or 32");
  if (!desc.by_tactic && desc.inputs[0].extents[1] > 16) {
    return ops::Support::no("more than 16 queries");
  }
  if (desc.outputs[0].extents[0] > 65535) return ops::Support::no("more than 65535 in a batch");
  if (desc.inputs[0].extents[1] > 65535) return ops::Support::no("more than 65535 queries");
  return support;
}

template <int kDim>
void launch_dim(const Params& p, int64_t heads, int64_t batches, cudaStream_t stream) {
  auto blocks = static_cast<unsigned>((p.queries + kQueries<kDim> - 1) / kQueries<kDim>);
  LaunchShape shape{dim3(static_cast<unsigned>(heads), blocks, static_cast<unsigned>(batches)),
                    dim3(kThreads), 0, true};
  launch(attention_few_wide_kernel<kDim>, "attention_few_wide", shape, stream, p);
}

void run(const ops::RunArgs& args) {
  const ops::Attention& op = ops::attributes_of<ops::Attention>(args);
  const TensorView &q = args.inputs[0], &k = args.inputs[1], &v = args.inputs[2];
  const TensorView& out = args.outputs[0];
  if (out.count() == 0) return;
  if (!rows_are_vectors(k, 8) || !rows_are_vectors(v, 8)) return kAttention.run(args);
  auto number = [](int64_t value) { return static_cast<int>(value); };
  Params params{.q = matrix_of<Any>(q),
                .k = matrix_of<Any>(k),
                .v = matrix_of<Any>(v),
                .out = matrix_of<Any>(out),
                .q_batches = number(q.extents[0]),
                .kv_batches = number(k.extents[0]),
                .queries = number(out.extents[1]),
                .keys = number(k.extents[1]),
                .scale = static_cast<float>(op.scale)};
  auto launch = op.head_dim == 16 ? launch_dim<16> : launch_dim<32>;
  launch(params, op.heads, out.extents[0], stream_of(args));
}

}  // namespace

const ops::Implementation kAttentionFewWide = {.name = "attention__any__few_queries__sm80",
                                               .op = ops::Attention::kName,
                                               .supports = supports,
                                               .prepare = ops::prepare_attributes<ops::Attention>,
                                               .run = run};

}  // namespace tenon::cuda
