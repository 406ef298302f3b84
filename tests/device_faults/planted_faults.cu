// Faults that compute-sanitizer must find: a checker that finds nothing proves nothing otherwise.
//   planted_faults bounds    writes one element behind an array
//   planted_faults race      two warps write one shared word, with no barrier between
//   planted_faults none      the same kernels without the faults
#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>

namespace {

__global__ void fill(int* data, int count) {
  int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) data[i] = i;
}

template <bool kRace>
__global__ void reverse(int* data) {
  __shared__ int words[128];
  words[threadIdx.x] = data[threadIdx.x];
  if (!kRace) __syncthreads();
  data[threadIdx.x] = words[127 - threadIdx.x];
}

}  // namespace

int main(int argc, char** argv) {
  const char* fault = argc > 1 ? argv[1] : "";
  bool bounds = std::strcmp(fault, "bounds") == 0, race = std::strcmp(fault, "race") == 0;
  if (!bounds && !race && std::strcmp(fault, "none") != 0) {
    std::fprintf(stderr, "usage: planted_faults bounds|race|none\n");
    return 2;
  }
  constexpr int kCount = 128;
  int* data = nullptr;
  if (cudaMalloc(&data, kCount * sizeof(int)) != cudaSuccess) return 3;
  fill<<<2, 128>>>(data, bounds ? kCount + 1 : kCount);
  if (race) {
    reverse<true><<<1, kCount>>>(data);
  } else {
    reverse<false><<<1, kCount>>>(data);
  }
  cudaError_t status = cudaDeviceSynchronize();
  std::printf("%s\n", cudaGetErrorString(status));
  cudaFree(data);
  return 0;
}
