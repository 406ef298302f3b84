#pragma once

#include <cstddef>
#include <cstdint>

// The loops that measure what a core can do, for each kind of instruction.
namespace tenon::cpu {

struct RateLoop {
  float (*run)() = nullptr;  // returns what the compiler must not drop; null: this CPU cannot
  double operations = 0;     // of one call
};

RateLoop fma_loop();
RateLoop bf16_loop();
RateLoop int8_loop();
// Reads all of the memory, `bytes` from there on; the same for its value.
int64_t read_all(const std::byte* memory, size_t bytes);

}  // namespace tenon::cpu
