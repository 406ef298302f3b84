#pragma once

#include "backends/cpu/kernels/linear.h"

// The two ways of `quantised_linear`: sums of integers where x is rounded to 8 bits
// (quantised_linear_int8.cc), f32 where it is not (quantised_linear_codes4.cc).
namespace tenon::cpu {

PanelWeight panel_weight(const ops::RunArgs& args, const QuantSpec& spec, int64_t out, int64_t in);

void run_int8(const LinearCall& call, const PanelWeight& weight, const Kernels& kernels,
              Workspace workspace);
int64_t int8_workspace(const LinearSizes& sizes, const PanelSizes& panels);

// The same by Int8MatrixKernels (quantised_linear_tiles.cc), where the CPU has them and rows are
// enough of them.
bool suits_tiles(const PanelWeight& weight, int64_t rows, const Kernels& kernels);
void run_int8_tiles(const LinearCall& call, const PanelWeight& weight, const Kernels& kernels,
                    Workspace workspace);
int64_t int8_tiles_workspace(const LinearSizes& sizes, const PanelSizes& panels);

// Up to this many rows of x the codes are decoded in registers, for more into tiles.
inline constexpr int64_t kMostCodes4Rows = 16;
void run_codes4(const LinearCall& call, const PanelWeight& weight, const RowKernels& rows,
                const Codes4Kernels& codes4, Workspace workspace);
int64_t codes4_workspace(const LinearSizes& sizes, const PanelSizes& panels);

}  // namespace tenon::cpu
