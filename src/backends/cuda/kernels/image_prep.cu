#include "ops/image_prep.h"

#include <algorithm>

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/load.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"
#include "base/error.h"

// A thread makes one pixel, its row of the picture mixed anew for each of its taps: a row is mixed
// about twice that way, which is less than writing it out and reading it again would take.
namespace tenon::cuda {
namespace {

constexpr int kThreads = 128;

struct Params {
  const uint8_t* x;                // [height, width, 3]
  const int32_t *taps_y, *taps_x;  // [.., 1 + most]
  const float *mean, *deviation;   // [3]
  float* y;                        // [rows, columns, 3]
  int height, width, rows, columns;
  int pitch_y, pitch_x;  // 1 + most
};

__device__ __forceinline__ int clip(int sum) {
  return min(max(sum >> ops::ImagePrep::kBits, 0), 255);
}

__global__ void __launch_bounds__(kThreads) image_prep_kernel(Params p) {
  device::let_next_start();
  device::wait_for_previous();
  constexpr int kHalf = 1 << (ops::ImagePrep::kBits - 1);
  int column = blockIdx.x * kThreads + threadIdx.x;
  if (column >= p.columns) return;
  const int32_t* across = p.taps_x + static_cast<int64_t>(column) * p.pitch_x;
  int left = across[0];
  for (int row = blockIdx.y; row < p.rows; row += gridDim.y) {
    const int32_t* down = p.taps_y + static_cast<int64_t>(row) * p.pitch_y;
    int top = down[0];
    float result[3] = {0.0f, 0.0f, 0.0f};
    if (top >= 0 && left >= 0) {
      int sums[3] = {kHalf, kHalf, kHalf};
      for (int i = 1; i < p.pitch_y; ++i) {
        int weight = down[i];
        if (weight == 0) continue;
        const uint8_t* line =
            p.x + static_cast<int64_t>(min(top + i - 1, p.height - 1)) * p.width * 3;
        int mixed[3] = {kHalf, kHalf, kHalf};
        for (int j = 1; j < p.pitch_x; ++j) {
          int share = across[j];
          const uint8_t* pixel = line + min(left + j - 1, p.width - 1) * 3;
#pragma unroll
          for (int c = 0; c < 3; ++c) mixed[c] += share * pixel[c];
        }
#pragma unroll
        for (int c = 0; c < 3; ++c) sums[c] += weight * clip(mixed[c]);
      }
#pragma unroll
      for (int c = 0; c < 3; ++c) {
        float level = static_cast<float>(clip(sums[c]));
        result[c] = __fdiv_rn(level - p.mean[c], p.deviation[c]);
      }
    }
    float* to = p.y + (static_cast<int64_t>(row) * p.columns + column) * 3;
#pragma unroll
    for (int c = 0; c < 3; ++c) to[c] = result[c];
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  const Extents &x = desc.inputs[0].extents, &y = desc.outputs[0].extents;
  constexpr int64_t kMost = int64_t{1} << 28;
  if (x[0] > kMost || x[1] > kMost || y[0] > kMost || y[1] > kMost) {
    return ops::Support::no("the picture is too large");
  }
  if (desc.inputs[1].extents[1] > kMost || desc.inputs[2].extents[1] > kMost) {
    return ops::Support::no("too many taps");
  }
  return ops::Support::yes();
}

void run(const ops::RunArgs& args) {
  const TensorView &x = args.inputs[0], &y = args.outputs[0];
  if (y.count() == 0) return;
  for (std::span<const TensorView> views : {args.inputs, args.outputs}) {
    for (const TensorView& view : views) {
      if (!view.is_contiguous()) throw Error(ErrorCode::Unsupported, "tensor is not contiguous");
    }
  }
  auto number = [](int64_t value) { return static_cast<int>(value); };
  Params params{.x = x.as<uint8_t>(),
                .taps_y = args.inputs[1].as<int32_t>(),
                .taps_x = args.inputs[2].as<int32_t>(),
                .mean = args.inputs[3].as<float>(),
                .deviation = args.inputs[4].as<float>(),
                .y = y.as<float>(),
                .height = number(x.extents[0]),
                .width = number(x.extents[1]),
                .rows = number(y.extents[0]),
                .columns = number(y.extents[1]),
                .pitch_y = number(args.inputs[1].extents[1]),
                .pitch_x = number(args.inputs[2].extents[1])};
  dim3 grid(static_cast<unsigned>((params.columns + kThreads - 1) / kThreads),
            static_cast<unsigned>(std::min(params.rows, 65535)));
  launch(image_prep_kernel, kImagePrep.name, {grid, dim3(kThreads), 0, true}, stream_of(args),
         params);
}

}  // namespace

const ops::Implementation kImagePrep = {.name = "image_prep__u8__1x128__sm80",
                                        .op = ops::ImagePrep::kName,
                                        .supports = supports,
                                        .run = run};

}  // namespace tenon::cuda
