#pragma once

#include "ops/implementation.h"

namespace tenon::cpu {

// ISAs that kernels are compiled for. Avx512 has the instructions of Avx2, the last two those of
// Avx512.
enum class Isa { Avx2, Avx512, Avx512Bf16, Avx512Vnni };

// yes where this CPU and its operating system run the ISA; else "this CPU lacks avx512_bf16".
ops::Support cpu_supports(Isa isa);

}  // namespace tenon::cpu
