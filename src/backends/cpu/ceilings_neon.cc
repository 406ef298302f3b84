// Loops for 64-bit Arm.
#include <arm_neon.h>

#include "backends/cpu/ceiling_loops.h"
#include "backends/cpu/cpu_features.h"

namespace tenon::cpu {
namespace {

constexpr int kSums = 24;  // hides 4 cycles of latency on six units, and fits 32 registers
constexpr int64_t kRounds = 400'000;

// The values stay finite and are not known to the compiler.
volatile float g_seed = 1e-8f;

float fma_loop_128() {
  float32x4_t sums[kSums], x = vdupq_n_f32(g_seed);
  for (auto& sum : sums) sum = x;
  for (int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 24
    for (auto& sum : sums) sum = vfmaq_f32(sum, x, x);
  }
  for (auto& sum : sums) x = vaddq_f32(x, sum);
  return vaddvq_f32(x);
}

__attribute__((target("arch=armv8.2-a+dotprod"))) float sdot_loop() {
  int32x4_t sums[kSums];
  int8x16_t x = vreinterpretq_s8_f32(vdupq_n_f32(g_seed));
  for (auto& sum : sums) sum = vreinterpretq_s32_s8(x);
  for (int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 24
    for (auto& sum : sums) sum = vdotq_s32(sum, x, x);
  }
  int32x4_t all = vdupq_n_s32(0);
  for (auto& sum : sums) all = veorq_s32(all, sum);
  return static_cast<float>(vaddvq_s32(all));
}

__attribute__((target("arch=armv8.2-a+dotprod+i8mm"))) float smmla_loop() {
  int32x4_t sums[kSums];
  int8x16_t x = vreinterpretq_s8_f32(vdupq_n_f32(g_seed));
  for (auto& sum : sums) sum = vreinterpretq_s32_s8(x);
  for (int64_t i = 0; i < kRounds; ++i) {
#pragma GCC unroll 24
    for (auto& sum : sums) sum = vmmlaq_s32(sum, x, x);
  }
  int32x4_t all = vdupq_n_s32(0);
  for (auto& sum : sums) all = veorq_s32(all, sum);
  return static_cast<float>(vaddvq_s32(all));
}

RateLoop of_vectors(float (*run)(), double operations) {
  return {run, operations * kSums * kRounds};
}

}  // namespace

int64_t read_all(const std::byte* memory, size_t bytes, const ReadPattern& pattern) {
  uint64x2_t sums[4] = {};
  size_t stream = bytes / pattern.streams;
  for (size_t i = 0; i + 256 <= stream; i += 256) {
    for (int s = 0; s < pattern.streams; ++s) {
      const std::byte* from = memory + s * stream + i;
      for (int j = 0; pattern.fetch && j < 4; ++j) __builtin_prefetch(from + 1024 + j * 64);
      for (int j = 0; j < 16; ++j) {
        auto* at = reinterpret_cast<const uint64_t*>(from + j * 16);
        sums[j % 4] = vaddq_u64(sums[j % 4], vld1q_u64(at));
      }
    }
  }
  uint64x2_t sum = vaddq_u64(vaddq_u64(sums[0], sums[1]), vaddq_u64(sums[2], sums[3]));
  return static_cast<int64_t>(vaddvq_u64(sum));
}

RateLoop fma_loop() {
  return of_vectors(fma_loop_128, 8);
}

// bf16 goes through f32 on Arm.
RateLoop bf16_loop() {
  return {};
}

RateLoop int8_loop() {
  if (cpu_supports(Isa::I8mm).ok) return of_vectors(smmla_loop, 64);
  if (cpu_supports(Isa::Dotprod).ok) return of_vectors(sdot_loop, 32);
  return {};
}

}  // namespace tenon::cpu
