// Correctness and speed of the CUDA kernels.
//   bench_cuda [check] [linear] [gemv-shapes] [rows] [attention]     without arguments: all but
//   gemv-shapes
#include <cstdio>
#include <set>
#include <string>

#include "backends/cuda/cuda_device.h"
#include "base/error.h"
#include "bench.h"

int main(int argc, char** argv) {
  using namespace tenon;
  std::set<std::string> wanted(argv + 1, argv + argc);
  if (wanted.empty()) wanted = {"check", "linear", "rows", "attention"};
  std::string why;
  if (cuda::device_count(why) == 0) {
    std::printf("skip bench_cuda: %s\n", why.c_str());
    return 0;
  }
  try {
    bench::Gpu gpu;
    std::printf("%s\n", gpu.device.description().c_str());
    int wrong = 0;
    if (wanted.count("check")) wrong = bench::check_linear(gpu) + bench::check_attention(gpu);
    bench::Ceilings ceilings = bench::measure_ceilings(gpu);
    std::printf("ceilings: read %.3f TB/s, bf16 product %.0f TFLOP/s\n", ceilings.read / 1e12,
                ceilings.gemm / 1e12);
    if (wanted.count("linear")) bench::bench_linear(gpu, ceilings);
    if (wanted.count("gemv-shapes")) bench::bench_gemv_shapes(gpu, ceilings);
    if (wanted.count("rows")) bench::bench_rows(gpu, ceilings);
    if (wanted.count("attention")) bench::bench_attention(gpu, ceilings);
    return wrong == 0 ? 0 : 1;
  } catch (const Error& error) {
    std::printf("error: %s\n", error.what());
    return 1;
  }
}
