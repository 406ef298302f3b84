#pragma once

#include <algorithm>

#include "backends/cpu/kernels/row_access.h"
#include "backends/cpu/kernels/tables.h"
#include "tensor/formats/quantised_weight.h"

// The ways of `linear` share one implementation, since the number of rows is known only when it
// runs: few rows stream the weight once (linear_gemv.cc), more are transposed, so that the weight
// is read where it lies (linear_in_place.cc), or go through packed tiles (linear_gemm.cc); a small
// weight is packed once for many of them (linear_tall.cc).
namespace tenon::cpu {

// A quantised weight as kernels read it: panels of 32 columns of y, one after the other.
struct PanelWeight {
  PanelSizes sizes;
  const uint8_t* codes = nullptr;
  bool packed = false;  // two units in a byte
  PanelScales scales;   // of the first panel

  const uint8_t* panel(int64_t index) const { return codes + index * panel_bytes(); }
  int64_t panel_bytes() const { return sizes.inputs * kPanelRows / (packed ? 2 : 1); }
  // Of `groups` groups from `first` on.
  PanelScales scales_of(int64_t panel, int64_t first, int64_t groups) const;
};

struct LinearCall {
  RowAccess x, weight, residual, y;
  const PanelWeight* panels = nullptr;    // in place of `weight`, for codes of 4 bits
  const Codes4Kernels* codes4 = nullptr;  // of those
  TensorView bias;
  Activation activation = Activation::None;
  int64_t m = 0, n = 0, k = 0;
};

struct LinearSizes {
  int64_t m = 0, n = 0, k = 0;
};

// columns [column, column + n) of row `row`, given as sums: bias, activation, residual, rounding.
void finish_row(const RowKernels& rows, const LinearCall& call, int64_t row, int64_t column,
                int64_t n, float* sums);

// Fetches what finish_row writes and adds there, of `rows` rows from `row` on. A core that streams
// a weight waits long for anything else it did not foresee, stores included.
void fetch_results(const LinearCall& call, int64_t row, int64_t rows, int64_t column, int64_t n);

void run_gemv(const LinearCall& call, const RowKernels& rows, const GemvKernels& gemv,
              Workspace workspace);
void run_gemm(const LinearCall& call, const RowKernels& rows, const GemmKernels& gemm,
              Workspace workspace);
int64_t gemv_workspace(const LinearSizes& sizes);
int64_t gemm_workspace(const LinearSizes& sizes, const GemmKernels& gemm);

// Many rows with a weight that fits L2: threads share rows and not columns, of which there are few.
bool is_tall(const LinearSizes& sizes, const GemmKernels& gemm);
int64_t tall_workspace(const LinearSizes& sizes, const GemmKernels& gemm);
void run_tall(const LinearCall& call, const RowKernels& rows, const GemmKernels& gemm,
              Workspace workspace);

// Rows of a weight read where they lie, with rows of x transposed in place of it.
int64_t in_place_workspace(const LinearSizes& sizes, const InPlaceKernels& kernels);
void run_in_place(const LinearCall& call, const RowKernels& rows, const InPlaceKernels& kernels,
                  Workspace workspace);

// Of many rows of x, which are then read where they lie, with a weight that is_tall says is small.
int64_t tall_in_place_workspace(const LinearSizes& sizes, const InPlaceKernels& kernels);
void run_tall_in_place(const LinearCall& call, const RowKernels& rows,
                       const InPlaceKernels& kernels, Workspace workspace);

// Pairs of bf16 by a unit for tiles.
int64_t tiles_workspace(const LinearSizes& sizes);
void run_tiles(const LinearCall& call, const RowKernels& rows, const PairTileKernels& tiles,
               Workspace workspace);

// The kernels of a product of f32, or of pairs of bf16 where x and the weight are bf16: of few rows
// of x, and of more, where `tiles` come first.
struct ProductKernels {
  const GemvKernels& gemv;
  const GemmKernels* gemm = nullptr;
  const PairTileKernels* tiles = nullptr;
};
template <const Kernels& kernels, bool pairs>
ProductKernels product_kernels() {
  if constexpr (!pairs) {
    return {*kernels.gemv, kernels.gemm, nullptr};
  } else if constexpr (kernels.isa == Isa::Amx) {
    return {*kernels.pair_gemv, nullptr, kernels.pair_tiles};
  } else {
    // Expanding bf16 to f32 costs little where there are many rows.
    return {*kernels.pair_gemv, bf16_pairs_are_fast() ? kernels.pair_gemm : kernels.gemm, nullptr};
  }
}

// For any number of rows up to sizes.m.
inline int64_t product_workspace(const LinearSizes& sizes, const ProductKernels& kernels) {
#if defined(__x86_64__)
  if (kernels.tiles) return std::max(gemv_workspace(sizes), tiles_workspace(sizes));
#endif
  const GemmKernels& gemm = *kernels.gemm;
  int64_t many =
      gemm.in_place ? in_place_workspace(sizes, *gemm.in_place) : gemm_workspace(sizes, gemm);
  int64_t tall = gemm.in_place && is_tall(sizes, gemm)
                     ? tall_in_place_workspace(sizes, *gemm.in_place)
                     : tall_workspace(sizes, gemm);
  return std::max({gemv_workspace(sizes), many, tall});
}

// Whether the tensors x and weight of these ports suit them.
template <bool pairs>
ops::Support support_product(const ops::OpDesc& desc, size_t x, size_t weight) {
  for (size_t index : {x, weight}) {
    if (pairs && desc.inputs[index].dtype != DType::BF16)
      return ops::Support::no("input " + std::to_string(index) + " is not bf16");
  }
  return ops::Support::yes();
}

// By whichever form is worth it for so many rows of x: what every op that is a product calls.
inline void run_product(const LinearCall& call, const RowKernels& rows,
                        const ProductKernels& kernels, Workspace workspace) {
  if (call.m <= kernels.gemv.worth_up_to) return run_gemv(call, rows, kernels.gemv, workspace);
#if defined(__x86_64__)
  if (kernels.tiles) return run_tiles(call, rows, *kernels.tiles, workspace);
#endif
  const GemmKernels& gemm = *kernels.gemm;
  if (is_tall({.m = call.m, .n = call.n, .k = call.k}, gemm)) {
    if (gemm.in_place) return run_tall_in_place(call, rows, *gemm.in_place, workspace);
    run_tall(call, rows, gemm, workspace);
  } else if (gemm.in_place) {
    run_in_place(call, rows, *gemm.in_place, workspace);
  } else {
    run_gemm(call, rows, gemm, workspace);
  }
}

}  // namespace tenon::cpu
