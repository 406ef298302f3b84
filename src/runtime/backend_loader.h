#pragma once

#include <vector>

#include "device/device.h"
#include "runtime/binding.h"

namespace tenon::runtime {

// A device with what runs on it.
struct DeviceBackends {
  device::Device* device = nullptr;
  std::vector<Backend> backends;  // best first
};

// Opens the device's back ends; libtenon_cuda is loaded at its first use, from beside this library
// (or TENON_CUDA_LIBRARY). Throws ErrorCode::Unsupported saying what was found and what is needed.
DeviceBackends open_backends(const device::DeviceId& id, bool reference_only = false);

}  // namespace tenon::runtime
