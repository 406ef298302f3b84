#pragma once

#include <cstddef>

// What the machine can do at this moment, on all threads of the process's pool.
namespace tenon::cpu {

double fma_flops_per_second();   // f32 multiply-add, widest vectors of this CPU
double bf16_flops_per_second();  // the fastest of AMX and vdpbf16ps; 0 where this CPU has neither
double int8_operations_per_second();  // of AMX, vpdpbusd, smmla or sdot, the fastest it has; or 0
double dram_bytes_per_second(const std::byte* memory, size_t bytes);  // reading

// Wall time; with one thread its CPU time instead, which other load on the machine disturbs less.
double seconds_now();

}  // namespace tenon::cpu
