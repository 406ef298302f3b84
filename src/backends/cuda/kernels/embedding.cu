#include "ops/embedding.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/cover.cuh"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

namespace tenon::cuda {
namespace {

using device::Any, device::bf16, device::f16;

constexpr int kVector = 8;

// An id outside the table and the given embeddings makes a row of NaNs: a kernel cannot throw, and
// the fault must show. Callers check ids on the host.
template <class T, class Y, int V>
__global__ void embedding_kernel(const int32_t* ids, int64_t ids_step, Matrix<T> table,
                                 int64_t table_rows, Matrix<Any> embeds, int64_t embed_rows,
                                 Matrix<Y> y, int64_t rows, int64_t units) {
  device::let_next_start();
  device::wait_for_previous();
  struct Row {
    int64_t id, from, y;
  };
  device::for_each_unit(
      rows, units,
      [&](int64_t row) {
        int64_t id = ids[row * ids_step], from = -1;
        if (id >= 0 && id < table_rows) from = table.layout.offset(id);
        if (id < 0 && -1 - id < embed_rows) from = embeds.layout.offset(-1 - id);
        return Row{id, from, y.layout.offset(row)};
      },
      [&](const Row& row, int64_t unit) {
        float values[V];
#pragma unroll
        for (int i = 0; i < V; ++i) values[i] = __int_as_float(0x7FC00000);
        if (row.from >= 0 && row.id >= 0) table.load(row.from, unit * V, values);
        if (row.from >= 0 && row.id < 0) embeds.load(row.from, unit * V, values);
        y.store(row.y, unit * V, values);
      });
}

ops::Support supports(const ops::OpDesc& desc) {
  return support_floats(desc, {1, 2}, {0});
}

template <class T, class Y, int V>
void start(const ops::RunArgs& args) {
  const TensorView &ids = args.inputs[0], &table = args.inputs[1], &y = args.outputs[0];
  TensorView embeds = input_or_none(args, 2);
  auto [grid, block] = cover(y.rows(), y.columns() / V);
  launch(embedding_kernel<T, Y, V>, kEmbedding.name, {grid, block, 0, true}, stream_of(args),
         ids.as<const int32_t>(), ids.strides[0], matrix_of<T>(table), table.rows(),
         matrix_of<Any>(embeds), embeds.defined() ? embeds.rows() : 0, matrix_of<Y>(y), y.rows(),
         y.columns() / V);
}

void run(const ops::RunArgs& args) {
  const TensorView &table = args.inputs[1], &y = args.outputs[0];
  bool vectors = rows_are_vectors(table, kVector) && rows_are_vectors(y, kVector) &&
                 rows_are_vectors(input_or_none(args, 2), kVector);
  if (!vectors) {
    start<Any, Any, 1>(args);
  } else if (table.dtype == DType::BF16 && y.dtype == DType::F32) {
    start<bf16, float, kVector>(args);
  } else if (table.dtype == DType::F16 && y.dtype == DType::F32) {
    start<f16, float, kVector>(args);
  } else {
    start<Any, Any, kVector>(args);
  }
}

}  // namespace

const ops::Implementation kEmbedding = {.name = "embedding__any__256x8__sm80",
                                        .op = ops::Embedding::kName,
                                        .supports = supports,
                                        .run = run};

}  // namespace tenon::cuda
