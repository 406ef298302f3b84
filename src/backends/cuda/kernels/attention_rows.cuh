#pragma once

#include <algorithm>

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/array.cuh"
#include "backends/cuda/kernels/device/mma.cuh"
#include "backends/cuda/kernels/linear.h"
#include "ops/attention.h"

// What the kernels of attention without a cache on the tensor cores share: which calls they take,
// where rows lie, and how a warp's results get there.
namespace tenon::cuda {

struct AttentionRows {
  const void *q, *k, *v;
  void* out;
  // In elements, from row to row and from batch to batch (0: one for all).
  int64_t q_pitch, k_pitch, v_pitch, out_pitch, q_batch, k_batch, v_batch, out_batch;
  float scale;
  DType out_dtype;
};

inline AttentionRows attention_rows(const ops::RunArgs& args, const ops::Attention& op) {
  const TensorView &q = args.inputs[0], &k = args.inputs[1], &v = args.inputs[2];
  const TensorView& out = args.outputs[0];
  auto batch_stride = [](const TensorView& view) {
    return view.extents[0] == 1 ? 0 : view.strides[0];
  };
  return {.q = q.data,
          .k = k.data,
          .v = v.data,
          .out = out.data,
          .q_pitch = q.strides[1],
          .k_pitch = k.strides[1],
          .v_pitch = v.strides[1],
          .out_pitch = out.strides[1],
          .q_batch = batch_stride(q),
          .k_batch = batch_stride(k),
          .v_batch = batch_stride(v),
          .out_batch = out.strides[0],
          .scale = static_cast<float>(op.scale),
          .out_dtype = out.dtype};
}

// One 16-bit type throughout, and heads of one of these sizes.
inline ops::Support support_attention_rows(const ops::OpDesc& desc,
                                           std::initializer_list<int64_t> dims) {
  ops::Support support = kAttention.supports(desc);
  if (!support.ok) return support;
  DType dtype = desc.inputs[0].dtype;
  if (dtype == DType::F32) return ops::Support::no("q is f32");
  for (const ops::TensorDesc& input : desc.inputs) {
    if (input.present && input.dtype != dtype) return ops::Support::no("inputs of several types");
  }
  auto op = ops::read_attributes<ops::Attention>(*desc.attributes);
  if (std::find(dims.begin(), dims.end(), op.head_dim) == dims.end()) {
    std::string list;
    for (int64_t dim : dims) list += (list.empty() ? "" : ", ") + std::to_string(dim);
    return ops::Support::no("head_dim is none of " + list);
  }
  if (desc.outputs[0].extents[0] > 65535) return ops::Support::no("more than 65535 in a batch");
  return support;
}

// Rows at one distance, from 16 bytes to 16 bytes. What is not there lies well.
inline bool lies_well(const TensorView& view) {
  if (!view.defined()) return true;
  int64_t pitch = view.rank() > 1 ? view.strides[view.rank() - 2] : 0;
  bool batches = view.rank() < 3 || view.strides[0] % 8 == 0 || view.extents[0] == 1;
  return MatrixRef{view.data, view.dtype, pitch}.is_aligned() && view.strides.back() == 1 &&
         batches;
}

// Whether all inputs lie well and results may be stored in pairs.
inline bool rows_fit(const ops::RunArgs& args) {
  const TensorView& out = args.outputs[0];
  return out.strides.back() == 1 && out.strides[1] % 2 == 0 &&
         std::all_of(args.inputs.begin(), args.inputs.end(), lies_well);
}

namespace device {

// The 16 rows of a warp, of which a lane has g and g + 8. place(row): where the row's head begins
// in `out`; below 0: it is none.
template <int kDim, class Flash, class Place>
__device__ __forceinline__ void store_rows(const AttentionRows& p, const Flash& flash,
                                           const Place& place) {
  int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  Array<Any> results{p.out, p.out_dtype};
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float total = flash.total(half);
    int64_t to = place(half * 8 + g);
    if (to < 0) continue;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      float pair[2] = {flash.out[n][2 * half] / total, flash.out[n][2 * half + 1] / total};
      results.store(to + n * 8 + 2 * t, pair);
    }
  }
}

}  // namespace device
}  // namespace tenon::cuda
