#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "ops/implementation.h"

namespace tenon::cpu {

// ISAs that kernels are compiled for. x86-64: Avx512 has the instructions of Avx2, the next three
// those of Avx512; Amx has all of them. 64-bit Arm: each has those before it, from Neon on.
enum class Isa { Avx2, Avx512, Avx512Bf16, Avx512Vnni, Amx, Neon, Dotprod, I8mm };

// Those of this architecture, by the names that reports use.
struct NamedIsa {
  const char* name;
  Isa isa;
};
std::span<const NamedIsa> named_isas();

// What TENON_CPU_ISA allows: `avx2`, `avx512` (with its extensions for bf16 and int8) or `amx`; on
// Arm `neon`, `dotprod` or `i8mm`. Empty: no limit. Fails on other words.
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
