#include "backends/cpu/cpu_features.h"

#include <cstdlib>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tenon::cpu {

std::optional<Isa> isa_limit(std::string_view text) {
  if (text.empty()) return std::nullopt;
  if (text == "avx2") return Isa::Avx2;
  if (text == "avx512") return Isa::Avx512Vnni;
  if (text == "amx") return Isa::Amx;
  throw Error(ErrorCode::Usage, "unknown instruction set")
      .at("TENON_CPU_ISA")
      .got(text)
      .accepted("avx2, avx512 or amx");
}

#if defined(__x86_64__)
namespace {

// gcc 12's __builtin_cpu_supports knows no avx512bf16, so its bit is read here: leaf 7, subleaf 1.
bool has_avx512_bf16() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & (1u << 5)) != 0;
}

// Leaf 7: amx_tile, amx_int8 and amx_bf16. The system hands out the registers on request, for the
// whole process; it refuses where the stack for a signal is too small for them.
const char* missing_for_amx() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kTile = 1u << 24, kInt8 = 1u << 25, kBf16 = 1u << 22;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return "amx";
  if ((edx & kTile) == 0 || (edx & kInt8) == 0 || (edx & kBf16) == 0) return "amx";
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  static const bool granted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return granted ? nullptr : "the system's permission for amx";
#else
  return "a known way to ask the system for amx";
#endif
}

// The name of the first missing instruction set, or null.
const char* missing_for(Isa isa) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2")) return "avx2";
  if (!__builtin_cpu_supports("fma")) return "fma";
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & bit_F16C) == 0) return "f16c";
  if (isa == Isa::Avx2) return nullptr;
  if (!__builtin_cpu_supports("avx512f")) return "avx512f";
  if (!__builtin_cpu_supports("avx512bw")) return "avx512bw";
  if (!__builtin_cpu_supports("avx512dq")) return "avx512dq";
  if (!__builtin_cpu_supports("avx512vl")) return "avx512vl";
  if (isa == Isa::Avx512) return nullptr;
  if (isa == Isa::Avx512Vnni) {
    return __builtin_cpu_supports("avx512vnni") ? nullptr : "avx512_vnni";
  }
  if (!has_avx512_bf16()) return "avx512_bf16";
  if (isa == Isa::Avx512Bf16) return nullptr;
  return __builtin_cpu_supports("avx512vnni") ? missing_for_amx() : "avx512_vnni";
}

}  // namespace

ops::Support cpu_supports(Isa isa) {
  const char* text = std::getenv("TENON_CPU_ISA");
  std::optional<Isa> limit = isa_limit(text ? text : "");
  if (limit && isa > *limit) return ops::Support::no("TENON_CPU_ISA=" + std::string(text));
  const char* missing = missing_for(isa);
  if (!missing) return ops::Support::yes();
  return ops::Support::no(std::string("this CPU lacks ") + missing);
}

bool bf16_pairs_are_fast() {
  __builtin_cpu_init();
  return !__builtin_cpu_is("intel");
}
#else
bool bf16_pairs_are_fast() {
  return false;
}

ops::Support cpu_supports(Isa) {
  return ops::Support::no("this CPU lacks x86-64 instructions");
}
#endif

}  // namespace tenon::cpu
