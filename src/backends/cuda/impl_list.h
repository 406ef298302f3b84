#pragma once

#include "ops/implementation.h"

namespace tenon::cuda {

extern const ops::Implementation kCast;

// Kernels for NVIDIA GPUs, best first.
ops::ImplementationList implementations();

}  // namespace tenon::cuda
