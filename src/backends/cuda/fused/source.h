#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/expression.h"
#include "tensor/tensor.h"

namespace tenon::cuda {

// One fused chain as CUDA C++: everything that is fixed when a plan is bound.
struct FusedSource {
  ops::Expression expression;
  std::vector<DType> inputs;  // f32, bf16, f16
  DType output = DType::F32;
};

// The whole translation unit, without includes: NVRTC's own headers may not be there. It defines
// the two kernels below, which take a FusedParams.
std::string fused_source(const FusedSource& source);
inline constexpr const char* kFusedVectorKernel = "fused_vector";  // kFusedVector elements a thread
inline constexpr const char* kFusedSingleKernel = "fused_single";  // one
inline constexpr int kFusedVector = 8;

// "" where every kind of the expression can be written down; else why not.
std::string fused_source_problem(const ops::Expression& expression);

// What the kernels take, laid out as their source declares it.
inline constexpr int kFusedAxes = kMaxRank;
struct FusedTensor {
  void* data;
  int64_t step;                 // elements from column to column: 1, or 0 where one repeats
  int64_t strides[kFusedAxes];  // elements, of the outer axes
};
struct FusedParams {
  int64_t rows, units;  // units: vectors or elements of a row
  int64_t outer;        // axes that rows are made of
  int64_t extents[kFusedAxes];
  FusedTensor tensors[ops::Expression::kMostInputs + 1];  // the inputs, then the output
};

// A call's tensors, broadcast to the output, with axes merged wherever all of them allow it.
// `vectors` tells whether rows of all of them may be read in vectors.
struct FusedCall {
  FusedParams params;
  int64_t columns;
  bool vectors;
};
FusedCall fused_call(std::span<const TensorView> inputs, const TensorView& output);

}  // namespace tenon::cuda
