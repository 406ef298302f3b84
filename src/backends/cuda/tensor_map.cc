#include "backends/cuda/tensor_map.h"

#include <cudaTypedefs.h>
#include <cuda_runtime_api.h>

#include "backends/cuda/cuda_error.h"
#include "base/checked.h"

namespace tenon::cuda {
namespace {

constexpr int kBoxColumns = 64;

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

CUtensorMap describe_matrix(const void* data, DType dtype, int64_t rows, int64_t columns,
                            int box_rows) {
  CUtensorMap map{};
  auto type =
      dtype == DType::BF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
  cuuint64_t sizes[2] = {checked_cast<cuuint64_t>(columns, "columns"),
                         checked_cast<cuuint64_t>(rows, "rows")};
  cuuint64_t pitch = checked_cast<cuuint64_t>(checked_mul(columns, int64_t{2}, "pitch"), "pitch");
  cuuint32_t box[2] = {kBoxColumns, static_cast<cuuint32_t>(box_rows)}, steps[2] = {1, 1};
  CUresult status = encode()(&map, type, 2, const_cast<void*>(data), sizes, &pitch, box, steps,
                             CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) throw error_of(cudaErrorInvalidValue, "cuTensorMapEncodeTiled");
  return map;
}

}  // namespace tenon::cuda
