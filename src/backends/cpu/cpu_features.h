#pragma once

#include <optional>
#include <string_view>

#include "ops/implementation.h"

namespace tenon::cpu {

// ISAs that kernels are compiled for. Avx512 has the instructions of Avx2, the last three those of
// Avx512; Amx has all of them.
enum class Isa { Avx2, Avx512, Avx512Bf16, Avx512Vnni, Amx };

// What TENON_CPU_ISA allows: `avx2`, `avx512` (with its extensions for bf16 and int8) or `amx`.
// Empty: no limit. Fails on other words.
std::optional<Isa> isa_limit(std::string_view text);

// yes where this CPU and its operating system run the ISA, and TENON_CPU_ISA allows it; else "this
// CPU lacks avx512_bf16".
ops::Support cpu_supports(Isa isa);

// Whether `vdpbf16ps`, with its two products a lane, is faster than two FMA. Zen 4 starts one in
// each cycle and Intel's cores one in two (measured: 0.58 of the FMA rate), so it is a matter of
// the maker; measuring at run time could choose differently from run to run, and the sums differ in
// their last bits.
bool bf16_pairs_are_fast();

}  // namespace tenon::cpu
