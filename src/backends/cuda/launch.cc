#include "backends/cuda/launch.h"

#include "backends/cuda/cuda_error.h"
#include "device/device.h"

namespace tenon::cuda {
namespace {

bool device_can_overlap() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  static thread_local int known_device = -1;
  static thread_local bool can = false;
  if (device != known_device) {
    int major = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
          "cudaDeviceGetAttribute");
    can = major >= 9;
    known_device = device;
  }
  return can;
}

}  // namespace

cudaStream_t stream_of(const ops::RunArgs& args) {
  return static_cast<cudaStream_t>(args.stream->native());
}

void allow_shared_bytes(const void* kernel, int64_t bytes) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)),
        "cudaFuncSetAttribute");
}

void launch_raw(const void* kernel, std::string_view name, const LaunchShape& shape,
                cudaStream_t stream, void** params) {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = static_cast<size_t>(shape.shared_bytes);
  config.stream = stream;
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  if (shape.overlaps_previous && device_can_overlap()) {
    config.attrs = &attribute;
    config.numAttrs = 1;
  }
  check(cudaLaunchKernelExC(&config, kernel, params), name);
}

}  // namespace tenon::cuda
