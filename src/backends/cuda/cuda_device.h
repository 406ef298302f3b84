#pragma once

#include <string>

#include "device/device.h"

namespace tenon::cuda {

// GPUs of compute capability 8.0 or newer that this process may use, by CUDA's own order; where
// there is none, `why` says what was found.
int device_count(std::string& why);

// Throws ErrorCode::Unsupported where there is no such device. Lives as long as the process.
device::Device& open_device(int index);

}  // namespace tenon::cuda
