#pragma once

#include "device/device.h"
#include "device/gpu_survey.h"

namespace tenon::cuda {

// What CUDA shows to this process, in CUDA's own order, and what this library holds code for.
device::GpuSurvey survey();

// Throws what device::gpu_refusal() says of the device. It lives as long as the process.
device::Device& open_device(int index);

}  // namespace tenon::cuda
