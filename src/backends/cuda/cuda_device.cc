#include "backends/cuda/cuda_device.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "backends/cuda/cuda_error.h"
#include "base/error.h"
#include "base/text.h"
#include "device/allocation_fault.h"

namespace tenon::cuda {
namespace {

// What a request for memory or a driver's object starts with: a test may want it to fail.
cudaError_t planted_fault() {
  return device::take_allocation_fault() ? cudaErrorMemoryAllocation : cudaSuccess;
}

void make_current(int index) {
  check(cudaSetDevice(index), "cudaSetDevice");
}

class CudaStream : public device::Stream {
 public:
  explicit CudaStream(int index) : index_(index) {
    make_current(index);
    check(planted_fault(), "cudaStreamCreate");
    // Non-blocking: it never waits for the legacy default stream.
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  }
  ~CudaStream() override { cudaStreamDestroy(stream_); }
  void synchronize() override {
    make_current(index_);
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
  }
  // Also makes the device current: whoever asks for the stream is about to launch on it.
  void* native() const override {
    make_current(index_);
    return stream_;
  }

 private:
  int index_;
  cudaStream_t stream_ = nullptr;
};

cudaStream_t native(device::Stream& stream) {
  return static_cast<cudaStream_t>(stream.native());
}

class DeviceAllocator : public device::Allocator {
 public:
  explicit DeviceAllocator(int index) : index_(index) {}
  void* allocate(int64_t bytes) override {
    make_current(index_);
    void* data = nullptr;
    cudaError_t status = planted_fault();
    // Aligned to 256 bytes.
    if (status == cudaSuccess) status = cudaMalloc(&data, static_cast<size_t>(bytes));
    if (status != cudaSuccess) {
      Error error = error_of(status, "cudaMalloc", bytes);
      throw error.fix("close other programs on the GPU, or run a smaller plan, batch or cache; " +
                      format_bytes(held_) + " are held by this process's Tenon");
    }
    held_ += bytes;
    return data;
  }
  void free(void* pointer, int64_t bytes) override {
    // After a device fault every call fails; memory goes back with the process.
    if (cudaSetDevice(index_) == cudaSuccess) cudaFree(pointer);
    held_ -= bytes;
  }

 private:
  int index_;
  std::atomic<int64_t> held_ = 0;
};

class PinnedAllocator : public device::Allocator {
 public:
  explicit PinnedAllocator(int index) : index_(index) {}
  void* allocate(int64_t bytes) override {
    make_current(index_);
    void* data = nullptr;
    cudaError_t status = planted_fault();
    if (status == cudaSuccess) {
      status = cudaHostAlloc(&data, static_cast<size_t>(bytes), cudaHostAllocDefault);
    }
    if (status != cudaSuccess) {
      cudaGetLastError();
      throw Error(ErrorCode::OutOfMemory, "cannot allocate pinned host memory")
          .got(format_bytes(bytes));
    }
    return data;
  }
  void free(void* pointer, int64_t) override { cudaFreeHost(pointer); }

 private:
  int index_;
};

class CudaGraph : public device::Graph {
 public:
  explicit CudaGraph(cudaGraphExec_t graph) : graph_(graph) {}
  ~CudaGraph() override { cudaGraphExecDestroy(graph_); }
  void launch(device::Stream& stream) override {
    check(cudaGraphLaunch(graph_, native(stream)), "cudaGraphLaunch");
  }

 private:
  cudaGraphExec_t graph_;
};

bool is_pinned(const void* memory) {
  cudaPointerAttributes attributes{};
  if (cudaPointerGetAttributes(&attributes, memory) != cudaSuccess) {
    cudaGetLastError();
    return false;
  }
  return attributes.type != cudaMemoryTypeUnregistered;
}

class CudaDevice : public device::Device {
 public:
  explicit CudaDevice(int index) : index_(index), memory_(index), pinned_(index) {
    make_current(index);
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
    int driver = 0;
    check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    fingerprint_ = std::string(properties.name) + ", compute capability " +
                   std::to_string(properties.major) + "." + std::to_string(properties.minor);
    description_ = fingerprint_ + ", " + format_bytes(properties.totalGlobalMem) +
                   ", driver for CUDA " + std::to_string(driver / 1000) + "." +
                   std::to_string(driver % 1000 / 10);
  }
  device::DeviceId id() const override { return {device::Kind::Cuda, index_}; }
  std::string description() const override { return description_; }
  std::string fingerprint() const override { return fingerprint_; }
  bool is_host() const override { return false; }
  device::Allocator& allocator() override { return memory_; }
  int64_t free_bytes() const override {
    make_current(index_);
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    return static_cast<int64_t>(free);
  }
  device::Allocator& pinned_allocator() override { return pinned_; }
  std::unique_ptr<device::Stream> make_stream() override {
    return std::make_unique<CudaStream>(index_);
  }

  void upload(void* to, const void* from, int64_t bytes, device::Stream& stream) override {
    if (bytes == 0) return;
    cudaStream_t on = native(stream);
    if (is_pinned(from)) {
      check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, on), "upload");
      return;
    }
    upload_staged(static_cast<std::byte*>(to), static_cast<const std::byte*>(from), bytes, on);
  }

  void download(void* to, const void* from, int64_t bytes, device::Stream& stream) override {
    if (bytes == 0) return;
    // From pageable memory's point of view this call may wait; it never returns with the copy
    // half done, and the caller synchronizes before it reads in both cases.
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, native(stream)), "download");
  }

  void clear(void* memory, int64_t bytes, device::Stream& stream) override {
    if (bytes == 0) return;
    check(cudaMemsetAsync(memory, 0, bytes, native(stream)), "clear");
  }

  std::unique_ptr<device::Graph> record(device::Stream& stream, FunctionRef<void()> work) override;

 private:
  void upload_staged(std::byte* to, const std::byte* from, int64_t bytes, cudaStream_t stream);

  int index_;
  std::string description_, fingerprint_;
  DeviceAllocator memory_;
  PinnedAllocator pinned_;
  std::mutex staging_mutex_;
  device::Arena staging_;
};

// Through two pinned halves: while one is copied to the device, the other is filled. Only the last
// pieces are still under way when the call returns, and those have left the caller's memory.
void CudaDevice::upload_staged(std::byte* to, const std::byte* from, int64_t bytes,
                               cudaStream_t stream) {
  constexpr int64_t kHalf = 8 << 20;
  std::lock_guard lock(staging_mutex_);
  if (!staging_.data()) staging_ = device::Arena(pinned_, 2 * kHalf);
  std::byte* staging = static_cast<std::byte*>(staging_.data());
  cudaEvent_t sent[2] = {};
  for (cudaEvent_t& event : sent) {
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  }
  cudaError_t status = cudaSuccess;
  for (int64_t at = 0, piece = 0; at < bytes && status == cudaSuccess; at += kHalf, ++piece) {
    std::byte* half = staging + piece % 2 * kHalf;
    int64_t size = std::min(kHalf, bytes - at);
    if (piece >= 2) status = cudaEventSynchronize(sent[piece % 2]);
    if (status != cudaSuccess) break;
    std::memcpy(half, from + at, static_cast<size_t>(size));
    status = cudaMemcpyAsync(to + at, half, size, cudaMemcpyHostToDevice, stream);
    if (status == cudaSuccess) status = cudaEventRecord(sent[piece % 2], stream);
  }
  // The halves are shared by all streams of the device: the next call must find them free.
  if (status == cudaSuccess) status = cudaStreamSynchronize(stream);
  for (cudaEvent_t event : sent) cudaEventDestroy(event);
  check(status, "upload");
}

std::unique_ptr<device::Graph> CudaDevice::record(device::Stream& stream,
                                                  FunctionRef<void()> work) {
  cudaStream_t on = native(stream);
  // Thread-local: other threads may allocate meanwhile.
  check(cudaStreamBeginCapture(on, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  cudaGraph_t graph = nullptr;
  try {
    work();
  } catch (...) {
    // The stream must leave capture whatever happened; what failed is already on its way up.
    if (cudaStreamEndCapture(on, &graph) == cudaSuccess && graph) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  check(cudaStreamEndCapture(on, &graph), "cudaStreamEndCapture");
  cudaGraphExec_t executable = nullptr;
  cudaError_t status = planted_fault();
  if (status == cudaSuccess) status = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "cudaGraphInstantiate");
  return std::make_unique<CudaGraph>(executable);
}

device::Gpu describe_gpu(int index) {
  device::Gpu gpu{.index = index};
  cudaDeviceProp properties{};
  cudaError_t status = cudaGetDeviceProperties(&properties, index);
  if (status != cudaSuccess) {
    cudaGetLastError();
    gpu.problem =
        "GPU " + std::to_string(index) + " does not answer: " + cudaGetErrorString(status);
    return gpu;
  }
  gpu.name = properties.name;
  gpu.major = properties.major;
  gpu.minor = properties.minor;
  gpu.bytes = static_cast<int64_t>(properties.totalGlobalMem);
  return gpu;
}

}  // namespace

device::GpuSurvey survey() {
  device::GpuSurvey found{.needed_version = CUDART_VERSION,
                          .architectures = TENON_CUDA_ARCHITECTURES};
  if (cudaDriverGetVersion(&found.driver_version) != cudaSuccess) cudaGetLastError();
  int count = 0;
  cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    cudaGetLastError();
    using Driver = device::GpuSurvey::Driver;
    found.driver = found.driver_version == 0               ? Driver::Absent
                   : status == cudaErrorInsufficientDriver ? Driver::TooOld
                                                           : Driver::Failed;
    // A driver without a GPU is no fault of the driver.
    if (status == cudaErrorNoDevice) found.driver = Driver::Works;
    found.failure = cudaGetErrorString(status);
    return found;
  }
  for (int index = 0; index < count; ++index) found.gpus.push_back(describe_gpu(index));
  return found;
}

device::Device& open_device(int index) {
  static std::mutex mutex;
  static std::vector<std::unique_ptr<CudaDevice>> devices;
  std::lock_guard lock(mutex);
  if (index >= 0 && index < static_cast<int>(devices.size()) && devices[index]) {
    return *devices[index];
  }
  if (auto refusal = device::gpu_refusal(survey(), index)) throw *refusal;
  devices.resize(std::max<size_t>(devices.size(), index + 1));
  devices[index] = std::make_unique<CudaDevice>(index);
  return *devices[index];
}

}  // namespace tenon::cuda
