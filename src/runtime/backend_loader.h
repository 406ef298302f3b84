#pragma once

#include <string>
#include <vector>

#include "device/device.h"
#include "ops/backend_library.h"
#include "runtime/binding.h"

namespace tenon::runtime {

// A device with what runs on it.
struct DeviceBackends {
  device::Device* device = nullptr;
  std::vector<Backend> backends;  // best first
};

// libtenon_cuda as this process found it: beside this library, or where TENON_CUDA_LIBRARY says.
struct GpuBackend {
  const ops::BackendLibrary* library = nullptr;  // null: not there
  std::string path;                              // that was tried
  std::string why;                               // not there
};
// Loaded at the first call.
const GpuBackend& gpu_backend();

// Opens the device's back ends. Throws ErrorCode::Unsupported or WrongPlan saying what was found
// and what is needed.
DeviceBackends open_backends(const device::DeviceId& id, bool reference_only = false);

}  // namespace tenon::runtime
