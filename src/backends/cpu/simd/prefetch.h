#pragma once

#include <cstdint>

// asm and not __builtin_prefetch where a loop does nothing else: gcc drops such a loop, which to it
// has no effect.
namespace tenon::cpu::TENON_ISA {

// Where a core reads several streams of one weight: a sixth is lost where they lie megabytes apart,
// and as much where they lie within some pages of 4 KiB.
constexpr int64_t kStreamsApart = 128 * 1024;

inline void fetch_into_l2(const void* at) {
#if defined(__aarch64__)
  asm volatile("prfm pldl2keep, %0" : : "Q"(*static_cast<const char*>(at)));
#else
  asm volatile("prefetcht1 %0" : : "m"(*static_cast<const char*>(at)));
#endif
}

inline void fetch_into_l1(const void* at) {
#if defined(__aarch64__)
  asm volatile("prfm pldl1keep, %0" : : "Q"(*static_cast<const char*>(at)));
#else
  asm volatile("prefetcht0 %0" : : "m"(*static_cast<const char*>(at)));
#endif
}

}  // namespace tenon::cpu::TENON_ISA
