#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/rotation.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"
#include "ops/kv_cache.h"

namespace tenon::cuda {
namespace {

using device::Any, device::bf16;

constexpr int kVector = 8, kThreads = 256;

template <class T, class C, int V>
struct KvAppendParams {
  Matrix<T> k, v;
  PagedCache<C> cache;
  int heads, head_units;
};

template <class T, class C, int V>
__global__ void kv_append_kernel(KvAppendParams<T, C, V> p) {
  device::let_next_start();
  device::wait_for_previous();
  int64_t token = blockIdx.x;
  device::CachePlace place = device::find_place(p.cache, token);
  if (place.k < 0) return;
  int64_t k_row = p.k.layout.offset(token), v_row = p.v.layout.offset(token);
  int half = p.heads * p.head_units;
  for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < 2 * half; i += gridDim.y * blockDim.x) {
    bool is_v = i >= half;
    int unit = is_v ? i - half : i;
    int64_t dim = static_cast<int64_t>(unit % p.head_units) * V;
    float values[V];
    if (is_v) {
      p.v.load(v_row, static_cast<int64_t>(unit) * V, values);
    } else {
      p.k.load(k_row, static_cast<int64_t>(unit) * V, values);
    }
    int64_t to = (is_v ? place.v : place.k) + unit / p.head_units * p.cache.strides[2];
    p.cache.array.store(to + dim * p.cache.strides[4], values);
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_floats(desc, {0, 1, 5}, {});
  if (support.ok && desc.inputs[0].dtype != desc.inputs[1].dtype) {
    return ops::Support::no("k and v have different types");
  }
  return support;
}

template <class T, class C, int V>
void start(const ops::RunArgs& args) {
  const ops::KvAppend& op = ops::attributes_of<ops::KvAppend>(args);
  const TensorView &k = args.inputs[0], &v = args.inputs[1];
  int64_t tokens = k.rows(), units = 2 * k.columns() / V;
  KvAppendParams<T, C, V> params{
      .k = matrix_of<T>(k),
      .v = matrix_of<T>(v),
      .cache = paged_cache<C>(args.inputs[2], args.inputs[3], args.inputs[4], args.inputs[5]),
      .heads = static_cast<int>(op.kv_heads),
      .head_units = static_cast<int>(op.head_dim / V)};
  LaunchShape shape{dim3(static_cast<unsigned>(tokens), blocks_a_token(tokens, units, kThreads)),
                    dim3(kThreads), 0, true};
  launch(kv_append_kernel<T, C, V>, kKvAppend.name, shape, stream_of(args), params);
}

void run(const ops::RunArgs& args) {
  const ops::KvAppend& op = ops::attributes_of<ops::KvAppend>(args);
  const TensorView &k = args.inputs[0], &v = args.inputs[1], &cache = args.inputs[5];
  bool vectors = op.head_dim % kVector == 0 && rows_are_vectors(k, kVector) &&
                 rows_are_vectors(v, kVector) && rows_are_vectors(cache, kVector);
  if (!vectors) {
    start<Any, Any, 1>(args);
  } else if (k.dtype == DType::BF16 && cache.dtype == DType::BF16) {
    start<bf16, bf16, kVector>(args);
  } else {
    start<Any, Any, kVector>(args);
  }
}

}  // namespace

const ops::Implementation kKvAppend = {.name = "kv_append__any__256x8__sm80",
                                       .op = ops::KvAppend::kName,
                                       .supports = supports,
                                       .prepare = ops::prepare_attributes<ops::KvAppend>,
                                       .run = run};

}  // namespace tenon::cuda
