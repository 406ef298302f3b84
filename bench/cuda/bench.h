#pragma once

#include "measure.h"

namespace tenon::bench {

void bench_linear(Gpu& gpu, const Ceilings& ceilings);
// Tries shapes of the GEMV's launch.
void bench_gemv_shapes(Gpu& gpu, const Ceilings& ceilings);
// Everything between the products: norms, glu, rope and cache, sampling.
void bench_rows(Gpu& gpu, const Ceilings& ceilings);
void bench_attention(Gpu& gpu, const Ceilings& ceilings);
// Compares with the reference in double. Returns how many cases were wrong.
int check_linear(Gpu& gpu);
int check_attention(Gpu& gpu);

}  // namespace tenon::bench
