#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/rotation.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"
#include "ops/kv_cache.h"

namespace tenon::cuda {
namespace {

using device::Any, device::bf16, device::f16;

constexpr int kVector = 8, kThreads = 256;

template <class T, class Q, class C, int V>
struct RopeKvAppendParams {
  Matrix<T> qkv;
  Matrix<Q> q;
  PagedCache<C> cache;
  const int32_t* positions;
  int64_t positions_step;
  Rotation rotation;
  int heads, kv_heads, head_units;
};

// q is rotated into the output; k is rotated and v moved into the cache. Each value is rounded
// once: k is not rounded to the type of qkv first.
template <class T, class Q, class C, int V>
__global__ void rope_kv_append_kernel(RopeKvAppendParams<T, Q, C, V> p) {
  extern __shared__ float2 angles[];
  device::let_next_start();
  device::wait_for_previous();
  int64_t token = blockIdx.x;
  device::CachePlace place = device::find_place(p.cache, token);
  if (place.k < 0) return;
  if (p.rotation.pairs > 0) {
    device::make_angles(p.rotation, p.positions[token * p.positions_step], angles);
  }
  __syncthreads();
  int64_t from = p.qkv.layout.offset(token), q_row = p.q.layout.offset(token);
  int units = (p.heads + 2 * p.kv_heads) * p.head_units;
  for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < units; i += gridDim.y * blockDim.x) {
    int head = i / p.head_units, unit = i % p.head_units;
    int64_t first = static_cast<int64_t>(head) * p.head_units * V;
    auto load = [&](int dim, float(&values)[V]) { p.qkv.load(from, first + dim, values); };
    if (head < p.heads) {
      device::move_unit<V>(
          p.rotation, true, angles, unit, load,
          [&](int dim, const float(&values)[V]) { p.q.store(q_row, first + dim, values); });
      continue;
    }
    int kv_head = head - p.heads;
    bool is_v = kv_head >= p.kv_heads;
    int64_t to = is_v ? place.v + (kv_head - p.kv_heads) * p.cache.strides[2]
                      : place.k + kv_head * p.cache.strides[2];
    device::move_unit<V>(p.rotation, !is_v, angles, unit, load,
                         [&](int dim, const float(&values)[V]) {
                           p.cache.array.store(to + dim * p.cache.strides[4], values);
                         });
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_floats(desc, {0, 2, 6}, {0});
  if (!support.ok) return support;
  if (desc.inputs[2].present && desc.inputs[2].dtype != DType::F32) {
    return ops::Support::no("inv_freq is not f32");
  }
  if (desc.inputs[2].present && desc.inputs[2].extents.count() > 4096) {
    return ops::Support::no("more than 4096 pairs");
  }
  return support;
}

template <class T, class Q, class C, int V>
void start(const ops::RunArgs& args, const Rotation& rotation) {
  const ops::RopeKvAppend& op = ops::attributes_of<ops::RopeKvAppend>(args);
  const TensorView &qkv = args.inputs[0], &positions = args.inputs[1];
  int64_t tokens = qkv.rows(), units = qkv.columns() / V;
  RopeKvAppendParams<T, Q, C, V> params{
      .qkv = matrix_of<T>(qkv),
      .q = matrix_of<Q>(args.outputs[0]),
      .cache = paged_cache<C>(args.inputs[3], args.inputs[4], args.inputs[5], args.inputs[6]),
      .positions = positions.as<const int32_t>(),
      .positions_step = positions.strides[0],
      .rotation = rotation,
      .heads = static_cast<int>(op.heads),
      .kv_heads = static_cast<int>(op.kv_heads),
      .head_units = static_cast<int>(op.head_dim / V)};
  LaunchShape shape{dim3(static_cast<unsigned>(tokens), blocks_a_token(tokens, units, kThreads)),
                    dim3(kThreads), rotation.pairs * static_cast<int64_t>(sizeof(float2)), true};
  launch(rope_kv_append_kernel<T, Q, C, V>, kRopeKvAppend.name, shape, stream_of(args), params);
}

void run(const ops::RunArgs& args) {
  const ops::RopeKvAppend& op = ops::attributes_of<ops::RopeKvAppend>(args);
  const TensorView &qkv = args.inputs[0], &inv_freq = args.inputs[2], &cache = args.inputs[6];
  Rotation rotation{.inv_freq = inv_freq.as<const float>(),
                    .pairs = inv_freq.defined() ? static_cast<int>(inv_freq.count()) : 0,
                    .interleaved = op.interleaved,
                    .scale = static_cast<float>(op.scale)};
  bool vectors = rotation_fits(rotation, op.head_dim, kVector) && rows_are_vectors(qkv, kVector) &&
                 rows_are_vectors(args.outputs[0], kVector) && rows_are_vectors(cache, kVector);
  DType from = qkv.dtype, to = cache.dtype;
  bool alike = args.outputs[0].dtype == to;  // q as the cache, as attention wants them
  if (!vectors) {
    start<Any, Any, Any, 1>(args, rotation);
  } else if (alike && to == DType::BF16 && from == DType::BF16) {
    start<bf16, bf16, bf16, kVector>(args, rotation);
  } else if (alike && to == DType::F16 && from == DType::F16) {
    start<f16, f16, f16, kVector>(args, rotation);
  } else if (alike && to == DType::BF16 && from == DType::F32) {
    start<float, bf16, bf16, kVector>(args, rotation);
  } else if (alike && to == DType::F16 && from == DType::F32) {
    start<float, f16, f16, kVector>(args, rotation);
  } else {
    start<Any, Any, Any, kVector>(args, rotation);
  }
}

}  // namespace

const ops::Implementation kRopeKvAppend = {.name = "rope_kv_append__any__256x8__sm80",
                                           .op = ops::RopeKvAppend::kName,
                                           .supports = supports,
                                           .prepare = ops::prepare_attributes<ops::RopeKvAppend>,
                                           .run = run};

}  // namespace tenon::cuda
