#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <string>
#include <string_view>

#include "ops/implementation.h"

// What the forms of `linear` share on the host.
namespace tenon::cuda {

inline constexpr int kNoActivation = -1;

// Activations that a product of cuBLASLt may end with.
enum class LibraryActivation { None, GeluTanh, Relu };

// A float matrix: rows lie `pitch` elements apart, elements of a row are neighbours.
struct MatrixRef {
  void* data = nullptr;
  DType dtype = DType::F32;
  int64_t pitch = 0;
  // Every row starts at a multiple of 16 bytes.
  bool is_aligned() const {
    int64_t bytes = dtype_bits(dtype) / 8;
    return reinterpret_cast<uintptr_t>(data) % 16 == 0 && pitch * bytes % 16 == 0;
  }
};

// y = activation(x . weight^T + bias) + residual with x [m, k], weight [n, k], y [m, n].
struct LinearCall {
  MatrixRef x, weight, residual, y;  // residual.data is null where there is none
  const void* bias = nullptr;        // [n]
  DType bias_dtype = DType::F32;
  int activation = kNoActivation;                                  // or a UnaryKind
  LibraryActivation library_activation = LibraryActivation::None;  // the same, where it is one
  int m = 0, n = 0, k = 0;
  cudaStream_t stream = nullptr;
  std::span<std::byte> workspace;
  std::string_view variant;  // of the implementation, where a tactic names one
  int bucket_rows = 0;       // the most rows x has in calls of this binding
};

struct PreparedLinear {
  int activation = kNoActivation;
  LibraryActivation library_activation = LibraryActivation::None;
  std::string variant;
  int bucket_rows = 0;
};
std::shared_ptr<const void> prepare_linear(const ops::OpDesc& desc);

// Throws ErrorCode::Unsupported where the rows of an input do not lie at one distance.
LinearCall linear_call(const ops::RunArgs& args);

// x's rows in the largest call of the bucket.
int64_t linear_rows(const ops::OpDesc& desc);
// The floats, types and activation every form accepts; sizes fit 32 bits.
ops::Support support_linear(const ops::OpDesc& desc);

// The form that is correct for everything: linear_simple.cu.
void run_linear_simple(const LinearCall& call);

// Reads f32 sums [m, n] and writes y by bias, activation and residual, in one pass. The
// sums may be y itself: linear_epilogue.cu.
void run_linear_epilogue(const LinearCall& call, const float* sums, int64_t sums_pitch);

// y = activation(y) in place, y in f16: linear_epilogue.cu.
void run_linear_activation(const LinearCall& call);

// The product by linear_cublaslt.cc, or by the simple form where its library cannot; and the
// workspace that takes.
void run_linear(const LinearCall& call);
int64_t linear_workspace_bytes(int64_t rows, int64_t outputs, DType y);

// Whether linear_cublaslt.cc has its library.
bool has_cublaslt();

// How linear_gemv.cu divides the work; the benchmark tries others.
struct GemvShape {
  int columns = 1024;    // of a stage of the ring: 512, 1024 or 2048
  int stages = 5;        // at most; fewer where x leaves no room
  int blocks_of_sm = 1;  // at most so many run on a multiprocessor
};
// Whether these addresses can go through the GEMV; m is at most kGemvRows.
inline constexpr int kGemvRows = 16;
bool fits_gemv(const LinearCall& call);
GemvShape choose_gemv_shape(const LinearCall& call);
void run_gemv(const LinearCall& call, const GemvShape& shape);

}  // namespace tenon::cuda
