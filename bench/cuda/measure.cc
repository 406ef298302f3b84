#include "measure.h"

#include <algorithm>
#include <vector>

#include "backends/cuda/cuda_device.h"
#include "backends/cuda/cuda_error.h"
#include "ceilings.h"
#include "operation.h"
#include "ops/linear.h"

namespace tenon::bench {

Gpu::Gpu() : device(cuda::open_device(0)), stream(device.make_stream()) {}

DeviceTensor::DeviceTensor(Gpu& gpu, DType dtype, const Extents& extents)
    : memory_(gpu.device.allocator(), std::max<int64_t>(dtype_bytes(dtype, extents.count()), 256)),
      view_(memory_.data(), dtype, extents) {
  // Poison: bytes 0xFF are NaN in every float type.
  cuda::check(cudaMemsetAsync(memory_.data(), 0xFF, memory_.bytes(), gpu.native()), "poison");
}

DeviceTensor DeviceTensor::random(Gpu& gpu, DType dtype, const Extents& extents, uint32_t seed,
                                  float spread) {
  DeviceTensor tensor(gpu, dtype, extents);
  fill_random(tensor.view_.data, dtype, extents.count(), seed, spread, gpu.native());
  return tensor;
}

DeviceTensor DeviceTensor::copy_of(Gpu& gpu, const TensorView& host) {
  DeviceTensor tensor(gpu, host.dtype, host.extents);
  gpu.device.upload(tensor.view_.data, host.data, host.bytes(), *gpu.stream);
  gpu.stream->synchronize();
  return tensor;
}

Tensor DeviceTensor::to_host(Gpu& gpu) const {
  Tensor host = Tensor::make(view_.dtype, view_.extents);
  gpu.device.download(host.view().data, view_.data, view_.bytes(), *gpu.stream);
  gpu.stream->synchronize();
  return host;
}

double median_seconds(Gpu& gpu, int calls, FunctionRef<void()> queue) {
  constexpr int kWarmUp = 5, kRepeats = 25;
  queue();  // outside the recording: libraries load and choose now
  gpu.stream->synchronize();
  std::unique_ptr<device::Graph> graph = gpu.device.record(*gpu.stream, queue);
  cudaEvent_t begin, end;
  cuda::check(cudaEventCreate(&begin), "cudaEventCreate");
  cuda::check(cudaEventCreate(&end), "cudaEventCreate");
  std::vector<double> times;
  for (int i = 0; i < kWarmUp + kRepeats; ++i) {
    cuda::check(cudaEventRecord(begin, gpu.native()), "cudaEventRecord");
    graph->launch(*gpu.stream);
    cuda::check(cudaEventRecord(end, gpu.native()), "cudaEventRecord");
    cuda::check(cudaEventSynchronize(end), "cudaEventSynchronize");
    float milliseconds = 0;
    cuda::check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
    if (i >= kWarmUp) times.push_back(milliseconds * 1e-3 / calls);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  std::nth_element(times.begin(), times.begin() + kRepeats / 2, times.end());
  return times[kRepeats / 2];
}

Ceilings measure_ceilings(Gpu& gpu) {
  Ceilings ceilings;
  {
    constexpr int64_t kBytes = 4ll << 30;
    DeviceTensor data = DeviceTensor::random(gpu, DType::F32, {kBytes / 4}, 1);
    DeviceTensor sink(gpu, DType::F32, {1});
    double seconds = median_seconds(
        gpu, 1, [&] { read_all(data.view().data, kBytes, sink.view().as<float>(), gpu.native()); });
    ceilings.read = kBytes / seconds;
  }
  constexpr int64_t kSize = 8192;
  DeviceTensor x = DeviceTensor::random(gpu, DType::BF16, {kSize, kSize}, 2);
  DeviceTensor weight = DeviceTensor::random(gpu, DType::BF16, {kSize, kSize}, 3);
  DeviceTensor y(gpu, DType::BF16, {kSize, kSize});
  Operation product(gpu, "linear", ops::to_attributes(ops::Linear{}), {x.view(), weight.view()},
                    y.view(), "linear_cublaslt");
  if (product.supported()) {
    double seconds = median_seconds(gpu, 1, [&] { product.run(); });
    ceilings.gemm = 2.0 * kSize * kSize * kSize / seconds;
  }
  return ceilings;
}

}  // namespace tenon::bench
