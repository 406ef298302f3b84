#include "ops/rope.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/rotation.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

namespace tenon::cuda {
namespace {

using device::Any, device::bf16;

constexpr int kVector = 8, kThreads = 256;

template <class T, int V>
struct RopeParams {
  Matrix<T> x, y;
  const int32_t* positions;
  int64_t positions_step;
  Rotation rotation;
  int heads, head_units;  // head_dim / V
};

template <class T, int V>
__global__ void rope_kernel(RopeParams<T, V> p) {
  extern __shared__ float2 angles[];
  device::let_next_start();
  device::wait_for_previous();
  int64_t token = blockIdx.x;
  device::make_angles(p.rotation, p.positions[token * p.positions_step], angles);
  __syncthreads();
  int64_t x_row = p.x.layout.offset(token), y_row = p.y.layout.offset(token);
  int units = p.heads * p.head_units;
  for (int i = blockIdx.y * blockDim.x + threadIdx.x; i < units; i += gridDim.y * blockDim.x) {
    int64_t first = static_cast<int64_t>(i / p.head_units) * p.head_units * V;
    device::move_unit<V>(
        p.rotation, true, angles, i % p.head_units,
        [&](int dim, float(&values)[V]) { p.x.load(x_row, first + dim, values); },
        [&](int dim, const float(&values)[V]) { p.y.store(y_row, first + dim, values); });
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_floats(desc, {0, 2}, {0});
  if (!support.ok) return support;
  if (desc.inputs[2].dtype != DType::F32) return ops::Support::no("inv_freq is not f32");
  if (desc.inputs[2].extents.count() > 4096) return ops::Support::no("more than 4096 pairs");
  if (desc.inputs[0].dtype != desc.outputs[0].dtype) {
    return ops::Support::no("x and y have different types");
  }
  return support;
}

template <class T, int V>
void start(const ops::RunArgs& args, const Rotation& rotation, int64_t head_dim) {
  const TensorView &x = args.inputs[0], &positions = args.inputs[1], &y = args.outputs[0];
  int64_t tokens = x.rows(), units = x.columns() / V;
  RopeParams<T, V> params{.x = matrix_of<T>(x),
                          .y = matrix_of<T>(y),
                          .positions = positions.as<const int32_t>(),
                          .positions_step = positions.strides[0],
                          .rotation = rotation,
                          .heads = static_cast<int>(x.columns() / head_dim),
                          .head_units = static_cast<int>(head_dim / V)};
  LaunchShape shape{dim3(static_cast<unsigned>(tokens), blocks_a_token(tokens, units, kThreads)),
                    dim3(kThreads), rotation.pairs * static_cast<int64_t>(sizeof(float2)), true};
  launch(rope_kernel<T, V>, kRope.name, shape, stream_of(args), params);
}

void run(const ops::RunArgs& args) {
  const ops::Rope& op = ops::attributes_of<ops::Rope>(args);
  Rotation rotation{.inv_freq = args.inputs[2].as<const float>(),
                    .pairs = static_cast<int>(args.inputs[2].count()),
                    .interleaved = op.interleaved,
                    .scale = static_cast<float>(op.scale)};
  bool vectors = rotation_fits(rotation, op.head_dim, kVector) &&
                 rows_are_vectors(args.inputs[0], kVector) &&
                 rows_are_vectors(args.outputs[0], kVector);
  if (!vectors) {
    start<Any, 1>(args, rotation, op.head_dim);
  } else if (args.inputs[0].dtype == DType::BF16) {
    start<bf16, kVector>(args, rotation, op.head_dim);
  } else {
    start<Any, kVector>(args, rotation, op.head_dim);
  }
}

}  // namespace

const ops::Implementation kRope = {.name = "rope__any__256x8__sm80",
                                   .op = ops::Rope::kName,
                                   .supports = supports,
                                   .prepare = ops::prepare_attributes<ops::Rope>,
                                   .run = run};

}  // namespace tenon::cuda
