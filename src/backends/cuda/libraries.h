#pragma once

#include <vector>

#include "device/gpu_survey.h"

namespace tenon::cuda {

// The libraries this back end opens at run time: opens them, and says where each lies.
std::vector<device::LibraryReport> libraries();

}  // namespace tenon::cuda
