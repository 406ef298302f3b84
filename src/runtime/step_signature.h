#pragma once

#include <string>
#include <vector>

#include "ops/implementation.h"
#include "plan/plan.h"
#include "tensor/dim.h"

namespace tenon::runtime {

// What one step asks of an implementation with symbols at their upper bounds.
ops::OpDesc describe_step(const plan::Stage& stage, const plan::Step& step,
                          const SymbolValues& bounds);

// The desc as text: "linear(bf16[8, 4096], bf16[12288, 4096], -, -) -> f32[8, 12288] {activation:
// ""}". Steps that agree in it run equally fast, so they share a tactic. How many blocks a cache
// has does not matter to a step and stands as "*".
std::string step_signature(const plan::Stage& stage, const plan::Step& step,
                           const ops::OpDesc& desc);

}  // namespace tenon::runtime
