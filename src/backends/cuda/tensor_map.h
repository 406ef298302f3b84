#pragma once

#include <cuda.h>

#include <cstdint>

#include "tensor/dtype.h"

namespace tenon::cuda {

// Matrices in device memory as Hopper's copy engine takes them: boxes of some rows x 64 elements of
// 16 bits arrive in shared memory, a row in 128 bytes, in the 128-byte swizzle that wgmma reads
// (kernels/device/wgmma.cuh).

// Whether the driver describes them at all; the card must be a Hopper or newer, too.
bool has_tensor_maps();

// `data` at a multiple of 16 bytes, `columns` elements a row, rows dense behind one another. For a
// kernel's parameter. Throws ErrorCode::DeviceFault.
CUtensorMap describe_matrix(const void* data, DType dtype, int64_t rows, int64_t columns,
                            int box_rows);

}  // namespace tenon::cuda
