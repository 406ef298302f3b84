#pragma once

#include <cuda.h>

#include <cstdint>

#include "tensor/dtype.h"

namespace tenon::cuda {

// Matrices in device memory as Hopper's copy engine takes them: boxes of some rows x 64 elements of
// 16 bits arrive in shared memory, a row in 128 bytes, in the 128-byte swizzle that wgmma reads
// (kernels/device/wgmma.cuh); or of 16 elements, in 32 bytes and that swizzle.

// Whether the driver describes them at all; the card must be a Hopper or newer, too.
bool has_tensor_maps();
// Whether this library and the card that is current for the calling thread have wgmma.
bool has_wgmma();

// Rows of `columns` elements of 16 bits, `pitch` elements apart: address and distance are multiples
// of 16 bytes.
struct MatrixOfRows {
  const void* data;
  DType dtype;
  int64_t rows, columns, pitch;
};
// For a kernel's parameter. Throws ErrorCode::DeviceFault.
CUtensorMap describe_matrix(const MatrixOfRows& matrix, int box_rows, int box_columns);

// The same of rows that lie dense behind one another, in boxes of 64 elements.
CUtensorMap describe_matrix(const void* data, DType dtype, int64_t rows, int64_t columns,
                            int box_rows);

}  // namespace tenon::cuda
