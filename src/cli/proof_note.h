#pragma once

#include <string>

#include "plan/plan_file.h"

namespace tenon::cli {

// One line where the plan has no proof for this CPU; empty where it has.
std::string proof_note(const plan::PlanFile& file);

}  // namespace tenon::cli
