#pragma once

#include <string>

#include "device/device.h"
#include "plan/plan_file.h"

namespace tenon::cli {

// One line where the plan has no proof for this device; empty where it has.
std::string proof_note(const plan::PlanFile& file, const device::Device& device);

}  // namespace tenon::cli
