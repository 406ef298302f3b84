#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "base/function_ref.h"
#include "device/device.h"
#include "tensor/tensor.h"

namespace tenon::bench {

// The GPU all measurements run on, and its stream.
struct Gpu {
  device::Device& device;
  std::unique_ptr<device::Stream> stream;
  Gpu();
  cudaStream_t native() const { return static_cast<cudaStream_t>(stream->native()); }
};

// A tensor in device memory.
class DeviceTensor {
 public:
  DeviceTensor(Gpu& gpu, DType dtype, const Extents& extents);
  static DeviceTensor random(Gpu& gpu, DType dtype, const Extents& extents, uint32_t seed,
                             float spread = 1.0f);
  static DeviceTensor copy_of(Gpu& gpu, const TensorView& host);
  const TensorView& view() const { return view_; }
  Tensor to_host(Gpu& gpu) const;

 private:
  device::Arena memory_;
  TensorView view_;
};

// Median seconds of one call of `queue`, which queues `calls` of them: recorded once as a CUDA
// graph, replayed 5 times to warm up and then 25 times between events.
double median_seconds(Gpu& gpu, int calls, FunctionRef<void()> queue);

// Ceilings of this run.
struct Ceilings {
  double read = 0;  // bytes a second, reading only
  double gemm = 0;  // bf16 operations a second of a large cuBLASLt product
};
Ceilings measure_ceilings(Gpu& gpu);

}  // namespace tenon::bench
