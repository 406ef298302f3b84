#include "ops/mask_post.h"

#include <algorithm>

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/load.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"
#include "base/error.h"

// A thread makes 32 pixels of a column of one mask, a word of bits: it keeps the three resampled
// rows its pixels are mixed from and makes new ones only where they change. Counts and edges are
// whole numbers, so that atomics give the same every time.
namespace tenon::cuda {
namespace {

constexpr int kThreads = 128, kCounts = 6;
constexpr int kFar = 1 << 30;

struct Params {
  const float* masks;     // [planes, height, width]
  const int32_t* chosen;  // [chosen]
  const float4 *taps_y, *taps_x;
  const float* levels;
  int32_t *bits, *counts;
  int planes, mask_h, mask_w, width, words, count;
};

__global__ void start_counts_kernel(int32_t* counts, int count) {
  device::let_next_start();
  device::wait_for_previous();
  int i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= count * kCounts) return;
  int part = i % kCounts;
  counts[i] = part < 2 ? 0 : part < 4 ? kFar : -1;
}

// Masks without a pixel have edges of zero.
__global__ void finish_counts_kernel(int32_t* counts, int count) {
  device::let_next_start();
  device::wait_for_previous();
  int i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= count) return;
  int32_t* own = counts + i * kCounts;
  if (own[4] < 0) own[2] = own[3] = own[4] = own[5] = 0;
}

// A column's resampled value in one row of the small mask.
__device__ __forceinline__ float mix(const float* mask, const Params& p, int row, int column,
                                     float4 taps) {
  const float* at = mask + static_cast<int64_t>(min(row, p.mask_h - 1)) * p.mask_w;
  int last = p.mask_w - 1;
  return taps.y * at[min(column, last)] + taps.z * at[min(column + 1, last)] +
         taps.w * at[min(column + 2, last)];
}

__global__ void __launch_bounds__(kThreads) mask_post_kernel(Params p) {
  device::let_next_start();
  device::wait_for_previous();
  int x = blockIdx.x * kThreads + threadIdx.x, word = blockIdx.y;
  float threshold = p.levels[0], certain_level = p.levels[1], possible_level = p.levels[2];
  for (int i = blockIdx.z; i < p.count; i += gridDim.z) {
    int certain = 0, possible = 0, top = kFar, bottom = -1;
    uint32_t bits = 0;
    int plane = p.chosen[i];
    if (x < p.width && plane >= 0 && plane < p.planes) {
      const float* mask = p.masks + static_cast<int64_t>(plane) * p.mask_h * p.mask_w;
      float4 across = p.taps_x[x];
      int column = static_cast<int>(across.x), held = -1;
      float rows[3] = {};
      for (int y = 0; y < 32; ++y) {
        float4 down = p.taps_y[word * 32 + y];
        if (down.x < 0.0f) break;
        int row = static_cast<int>(down.x);
        if (row != held) {
          for (int j = 0; j < 3; ++j) rows[j] = mix(mask, p, row + j, column, across);
          held = row;
        }
        float value = down.y * rows[0] + down.z * rows[1] + down.w * rows[2];
        certain += value > certain_level;
        possible += value > possible_level;
        if (!(value > threshold)) continue;
        bits |= 1u << y;
        top = min(top, word * 32 + y);
        bottom = word * 32 + y;
      }
      p.bits[(static_cast<int64_t>(i) * p.width + x) * p.words + word] = static_cast<int>(bits);
    }
    int left = bits ? x : kFar, right = bits ? x : -1;
    certain = __reduce_add_sync(0xffffffffu, certain);
    possible = __reduce_add_sync(0xffffffffu, possible);
    top = __reduce_min_sync(0xffffffffu, top);
    left = __reduce_min_sync(0xffffffffu, left);
    bottom = __reduce_max_sync(0xffffffffu, bottom);
    right = __reduce_max_sync(0xffffffffu, right);
    if (threadIdx.x % 32 == 0 && (possible > 0 || certain > 0 || bottom >= 0)) {
      int32_t* counts = p.counts + i * kCounts;
      atomicAdd(counts, certain);
      atomicAdd(counts + 1, possible);
      atomicMin(counts + 2, left);
      atomicMin(counts + 3, top);
      atomicMax(counts + 4, right);
      atomicMax(counts + 5, bottom);
    }
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  const Extents &masks = desc.inputs[0].extents, &bits = desc.outputs[0].extents;
  if (masks.count() > int64_t{1} << 34 || masks[0] > 1 << 30) {
    return ops::Support::no("masks are too many");
  }
  if (bits[2] > 65535 || bits[1] > 1 << 30) return ops::Support::no("the picture is too large");
  if (masks[1] == 0 || masks[2] == 0) return ops::Support::no("masks have no pixels");
  return ops::Support::yes();
}

void run(const ops::RunArgs& args) {
  const TensorView &masks = args.inputs[0], &bits = args.outputs[0], &counts = args.outputs[1];
  auto number = [](int64_t value) { return static_cast<int>(value); };
  int count = number(bits.extents[0]);
  if (count == 0) return;
  for (std::span<const TensorView> views : {args.inputs, args.outputs}) {
    for (const TensorView& view : views) {
      if (!view.is_contiguous()) throw Error(ErrorCode::Unsupported, "tensor is not contiguous");
    }
  }
  Params params{.masks = masks.as<float>(),
                .chosen = args.inputs[1].as<int32_t>(),
                .taps_y = reinterpret_cast<const float4*>(args.inputs[2].data),
                .taps_x = reinterpret_cast<const float4*>(args.inputs[3].data),
                .levels = args.inputs[4].as<float>(),
                .bits = bits.as<int32_t>(),
                .counts = counts.as<int32_t>(),
                .planes = number(masks.extents[0]),
                .mask_h = number(masks.extents[1]),
                .mask_w = number(masks.extents[2]),
                .width = number(bits.extents[1]),
                .words = number(bits.extents[2]),
                .count = count};
  cudaStream_t stream = stream_of(args);
  auto blocks = [](int64_t threads) {
    return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
  };
  LaunchShape small{dim3(blocks(int64_t{count} * kCounts)), dim3(kThreads), 0, true};
  launch(start_counts_kernel, "mask_post_start", small, stream, params.counts, count);
  LaunchShape shape{dim3(blocks(params.width), static_cast<unsigned>(params.words),
                         static_cast<unsigned>(std::min(count, 65535))),
                    dim3(kThreads), 0, true};
  launch(mask_post_kernel, kMaskPost.name, shape, stream, params);
  launch(finish_counts_kernel, "mask_post_finish", small, stream, params.counts, count);
}

}  // namespace

const ops::Implementation kMaskPost = {.name = "mask_post__f32__32x128__sm80",
                                       .op = ops::MaskPost::kName,
                                       .supports = supports,
                                       .run = run};

}  // namespace tenon::cuda
