#pragma once

#include <memory>

#include "cli/view.h"
#include "device/device.h"
#include "plan/plan_file.h"

namespace tenon::cli {

// The implementation of each step where `tokens` run at once on the device, and why those before it
// in the list were refused. Needs no GPU: where there is none, implementations answer as far as
// they can without one, and the view says so. Throws ErrorCode::Unsupported where libtenon_cuda is
// not there either.
View step_choices(std::shared_ptr<const plan::PlanFile> file, int64_t tokens,
                  const device::DeviceId& device);

}  // namespace tenon::cli
