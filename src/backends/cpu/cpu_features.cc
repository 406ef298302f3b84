#include "backends/cpu/cpu_features.h"

#include <cstdlib>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace tenon::cpu {
namespace {

// Words of TENON_CPU_ISA, and the last ISA each allows.
#if defined(__x86_64__)
constexpr NamedIsa kLimits[] = {
    {"avx2", Isa::Avx2}, {"avx512", Isa::Avx512Vnni}, {"amx", Isa::Amx}};
constexpr NamedIsa kNames[] = {{"avx2", Isa::Avx2},
                               {"avx512", Isa::Avx512},
                               {"avx512_bf16", Isa::Avx512Bf16},
                               {"avx512_vnni", Isa::Avx512Vnni},
                               {"amx", Isa::Amx}};
constexpr const char* kAccepted = "avx2, avx512 or amx";
#else
constexpr NamedIsa kLimits[] = {
    {"neon", Isa::Neon}, {"dotprod", Isa::Dotprod}, {"i8mm", Isa::I8mm}};
constexpr auto& kNames = kLimits;
constexpr const char* kAccepted = "neon, dotprod or i8mm";
#endif

}  // namespace

std::span<const NamedIsa> named_isas() {
  return kNames;
}

std::optional<Isa> isa_limit(std::string_view text) {
  if (text.empty()) return std::nullopt;
  for (const NamedIsa& limit : kLimits) {
    if (text == limit.name) return limit.isa;
  }
  throw Error(ErrorCode::Usage, "unknown instruction set")
      .at("TENON_CPU_ISA")
      .got(text)
      .accepted(kAccepted);
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
  if (isa > Isa::Amx) return "64-bit Arm instructions";
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

bool maker_is_intel() {
  __builtin_cpu_init();
  return __builtin_cpu_is("intel");
}

}  // namespace
#elif defined(__aarch64__)
namespace {

// Every 64-bit Arm has what Neon stands for here.
const char* missing_for(Isa isa) {
  if (isa < Isa::Neon) return "x86-64 instructions";
  if (isa >= Isa::Dotprod && (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) == 0) return "dotprod";
  if (isa >= Isa::I8mm && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) == 0) return "i8mm";
  return nullptr;
}

bool maker_is_intel() {
  return false;
}

}  // namespace
#else
namespace {

const char* missing_for(Isa) {
  return "x86-64 or 64-bit Arm instructions";
}

bool maker_is_intel() {
  return false;
}

}  // namespace
#endif

ops::Support cpu_supports(Isa isa) {
  const char* text = std::getenv("TENON_CPU_ISA");
  std::optional<Isa> limit = isa_limit(text ? text : "");
  if (limit && isa > *limit) return ops::Support::no("TENON_CPU_ISA=" + std::string(text));
  const char* missing = missing_for(isa);
  if (!missing) return ops::Support::yes();
  return ops::Support::no(std::string("this CPU lacks ") + missing);
}

bool bf16_pairs_are_fast() {
  return !maker_is_intel();
}

}  // namespace tenon::cpu
