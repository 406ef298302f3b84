#include "backends/cuda/libraries.h"

#include "backends/cuda/cublaslt.h"
#include "backends/cuda/fused/nvrtc.h"

namespace tenon::cuda {
namespace {

// cuBLASLt counts 130100 for 13.1.0.
std::string cublaslt_version(size_t version) {
  return std::to_string(version / 10000) + "." + std::to_string(version % 10000 / 100) + "." +
         std::to_string(version % 100);
}

}  // namespace

std::vector<device::LibraryReport> libraries() {
  device::LibraryReport blas{.file = std::string(kCublasLtFile),
                             .enables = "fast matrix products; without it own kernels, slower"};
  if (const CublasLt* api = cublaslt(blas.problem)) {
    blas.path = api->path;
    blas.version = cublaslt_version(api->version());
  }
  device::LibraryReport compiler{
      .file = std::string(kNvrtcFile),
      .enables = "fused chains of elementwise steps; without it they run one by one"};
  device::LibraryReport builtins{.file = "libnvrtc-builtins.so", .enables = "part of NVRTC"};
  if (const Nvrtc* api = nvrtc(compiler.problem)) {
    compiler.path = api->path;
    compiler.version = device::cuda_version_text(api->version);
    builtins.path = api->builtins_path.empty() ? "found by NVRTC itself" : api->builtins_path;
  } else {
    builtins.problem = "NVRTC does not work";
  }
  return {blas, compiler, builtins};
}

}  // namespace tenon::cuda
