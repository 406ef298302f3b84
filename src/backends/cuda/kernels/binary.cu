#include "ops/binary.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/cover.cuh"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

// Broadcasting is a stride of 0: a repeated row costs nothing more, and a value repeated along the
// columns takes the path of single elements.
namespace tenon::cuda {
namespace {

using device::Any;

constexpr int kVector = 8;

enum class BinaryKind { Add, Sub, Mul, Div };

__device__ __forceinline__ float apply(BinaryKind kind, float a, float b) {
  switch (kind) {
    case BinaryKind::Add:
      return a + b;
    case BinaryKind::Sub:
      return a - b;
    case BinaryKind::Mul:
      return a * b;
    case BinaryKind::Div:
      return a / b;
  }
  return a;
}

template <class T, int V>
__global__ void binary_kernel(Matrix<T> a, Matrix<T> b, Matrix<T> y, int64_t rows, int64_t units,
                              BinaryKind kind) {
  device::let_next_start();
  device::wait_for_previous();
  struct Row {
    int64_t a, b, y;
  };
  device::for_each_unit(
      rows, units,
      [&](int64_t row) {
        return Row{a.layout.offset(row), b.layout.offset(row), y.layout.offset(row)};
      },
      [&](const Row& row, int64_t unit) {
        float left[V], right[V];
        a.load(row.a, unit * V, left);
        b.load(row.b, unit * V, right);
#pragma unroll
        for (int i = 0; i < V; ++i) left[i] = apply(kind, left[i], right[i]);
        y.store(row.y, unit * V, left);
      });
}

ops::Support supports(const ops::OpDesc& desc) {
  return support_floats(desc, {0, 1}, {0});
}

std::shared_ptr<const void> prepare(const ops::OpDesc& desc) {
  std::string kind = ops::read_attributes<ops::Binary>(*desc.attributes).kind;
  for (size_t i = 0; i < std::size(ops::kBinaryKinds); ++i) {
    if (ops::kBinaryKinds[i] == kind) return std::make_shared<const BinaryKind>(BinaryKind(i));
  }
  throw Error(ErrorCode::Unsupported, "unknown kind").at("binary").got(kind);
}

template <class T, int V>
void start(const ops::RunArgs& args, const TensorView& a, const TensorView& b,
           const TensorView& y) {
  auto [grid, block] = cover(y.rows(), y.columns() / V);
  launch(binary_kernel<T, V>, kBinary.name, {grid, block, 0, true}, stream_of(args),
         matrix_of<T>(a), matrix_of<T>(b), matrix_of<T>(y), y.rows(), y.columns() / V,
         *static_cast<const BinaryKind*>(args.prepared));
}

void run(const ops::RunArgs& args) {
  const TensorView& y = args.outputs[0];
  if (y.count() == 0) return;
  TensorView a = broadcast_to(args.inputs[0], y.extents);
  TensorView b = broadcast_to(args.inputs[1], y.extents);
  bool vectors =
      rows_are_vectors(a, kVector) && rows_are_vectors(b, kVector) && rows_are_vectors(y, kVector);
  bool all_f32 = a.dtype == DType::F32 && b.dtype == DType::F32 && y.dtype == DType::F32;
  if (!vectors) {
    start<Any, 1>(args, a, b, y);
  } else if (all_f32) {
    start<float, kVector>(args, a, b, y);
  } else {
    start<Any, kVector>(args, a, b, y);
  }
}

}  // namespace

const ops::Implementation kBinary = {.name = "binary__any__256x8__sm80",
                                     .op = ops::Binary::kName,
                                     .supports = supports,
                                     .prepare = prepare,
                                     .run = run};

}  // namespace tenon::cuda
