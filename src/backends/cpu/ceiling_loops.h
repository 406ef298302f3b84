#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/ceilings.h"

// The loops that measure what a core can do, for each kind of instruction.
namespace tenon::cpu {

struct RateLoop {
  float (*run)() = nullptr;  // returns what the compiler must not drop; null: this CPU cannot
  double operations = 0;     // of one call
};

RateLoop fma_loop();
RateLoop bf16_loop();
RateLoop int8_loop();
// Reads `bytes` of memory as a pattern says, but for a rest of less than 256 bytes a stream; the
// same for its value.
int64_t read_all(const std::byte* memory, size_t bytes, const ReadPattern& pattern);

}  // namespace tenon::cpu
