#include "backends/cuda/tensor_map.h"

#include <cudaTypedefs.h>
#include <cuda_runtime_api.h>

#include "backends/cuda/cuda_error.h"
#include "backends/cuda/launch.h"
#include "base/checked.h"

namespace tenon::cuda {
namespace {

constexpr int kWideBox = 64;  // columns

// A function of the driver, which this library is not linked with.
PFN_cuTensorMapEncodeTiled_v12000 find_encode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
  cudaError_t status = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                                        cudaEnableDefault, &found);
  if (status != cudaSuccess || found != cudaDriverEntryPointSuccess) return nullptr;
  return reinterpret_cast<PFN_cuTensorMapEncodeTiled_v12000>(function);
}

PFN_cuTensorMapEncodeTiled_v12000 encode() {
  static const PFN_cuTensorMapEncodeTiled_v12000 kFunction = find_encode();
  return kFunction;
}

}  // namespace

bool has_tensor_maps() {
  return encode() != nullptr;
}

bool has_wgmma() {
#ifdef TENON_SM90A
  return current_card().major == 9;
#else
  return false;
#endif
}

CUtensorMap describe_matrix(const MatrixOfRows& matrix, int box_rows, int box_columns) {
  CUtensorMap map{};
  auto type = matrix.dtype == DType::BF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                          : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
  cuuint64_t sizes[2] = {checked_cast<cuuint64_t>(matrix.columns, "columns"),
                         checked_cast<cuuint64_t>(matrix.rows, "rows")};
  cuuint64_t pitch =
      checked_cast<cuuint64_t>(checked_mul(matrix.pitch, int64_t{2}, "pitch"), "pitch");
  cuuint32_t box[2] = {static_cast<cuuint32_t>(box_columns), static_cast<cuuint32_t>(box_rows)};
  cuuint32_t steps[2] = {1, 1};
  auto swizzle = box_columns == kWideBox ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_32B;
  CUresult status = encode()(&map, type, 2, const_cast<void*>(matrix.data), sizes, &pitch, box,
                             steps, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
                             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) throw error_of(cudaErrorInvalidValue, "cuTensorMapEncodeTiled");
  return map;
}

CUtensorMap describe_matrix(const void* data, DType dtype, int64_t rows, int64_t columns,
                            int box_rows) {
  return describe_matrix({data, dtype, rows, columns, columns}, box_rows, kWideBox);
}

}  // namespace tenon::cuda
