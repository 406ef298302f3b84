#pragma once

#include "kernels/machine.h"

namespace tenon::bench {

// Whole layers of LLaMA-7B in f16 as a plan runs them for one step, and what each kind of kernel
// costs there; prints a table. What a kind costs is what the step gains when it is left out:
// kernels overlap, so times of single ones do not add up.
void measure_layers(Machine& machine);

}  // namespace tenon::bench
