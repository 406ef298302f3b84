#include "backends/cpu/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace tenon::cpu {

#if defined(__x86_64__)
namespace {

// gcc 12's __builtin_cpu_supports knows no avx512bf16, so its bit is read here: leaf 7, subleaf 1.
bool has_avx512_bf16() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & (1u << 5)) != 0;
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
  return has_avx512_bf16() ? nullptr : "avx512_bf16";
}

}  // namespace

ops::Support cpu_supports(Isa isa) {
  const char* missing = missing_for(isa);
  if (!missing) return ops::Support::yes();
  return ops::Support::no(std::string("this CPU lacks ") + missing);
}
#else
ops::Support cpu_supports(Isa) {
  return ops::Support::no("this CPU lacks x86-64 instructions");
}
#endif

}  // namespace tenon::cpu
