#pragma once

#include "backends/cpu/kernels/row_access.h"
#include "backends/cpu/kernels/tables.h"

namespace tenon::cpu {

// What rms_norm and layer_norm share: rows of s = x + residual, brought to unit size.
struct NormCall {
  RowAccess x, residual, y, sum;
  TensorView weight, bias;
  double eps = 0;
  bool centred = false;  // layer_norm: the mean is taken off first
};

int64_t norm_workspace(int64_t columns);
void run_norm(const NormCall& call, const RowKernels& rows, Workspace workspace);

}  // namespace tenon::cpu
