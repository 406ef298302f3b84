#include "runtime/backend_loader.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>

#include "backends/cpu/impl_list.h"
#include "backends/reference/impl_list.h"
#include "base/error.h"
#include "device/gpu_survey.h"
#include "ops/backend_library.h"

namespace tenon::runtime {
namespace {

std::string library_beside_this() {
  Dl_info info{};
  if (!dladdr(reinterpret_cast<void*>(&open_backends), &info) || !info.dli_fname)
    return "libtenon_cuda.so";
  std::string path = info.dli_fname;
  size_t slash = path.rfind('/');
  return (slash == std::string::npos ? std::string() : path.substr(0, slash + 1)) +
         "libtenon_cuda.so";
}

GpuBackend load_gpu_backend() {
  const char* chosen = std::getenv("TENON_CUDA_LIBRARY");
  std::string path = chosen && *chosen ? chosen : library_beside_this();
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char* reason = dlerror();
    return {nullptr, path, reason ? reason : "cannot be loaded"};
  }
  using Entry = const ops::BackendLibrary* (*)();
  auto entry = reinterpret_cast<Entry>(dlsym(handle, "tenon_backend_library"));
  if (!entry) return {nullptr, path, path + " is no Tenon back end"};
  const ops::BackendLibrary* library = entry();
  if (library->version != ops::kBackendLibraryVersion) {
    return {nullptr, path, path + " is of another Tenon version"};
  }
  return {library, path, ""};
}

DeviceBackends open_cuda(const device::DeviceId& id) {
  const GpuBackend& gpu = gpu_backend();
  if (!gpu.library) {
    throw Error(ErrorCode::Unsupported, "no such device")
        .at(id.to_string())
        .got(gpu.why)
        .accepted(
            "an NVIDIA GPU of compute capability 8.0 or newer, its driver, and libtenon_cuda.so")
        .fix("run with --device cpu");
  }
  if (auto refusal = device::gpu_refusal(gpu.library->survey(), id.index)) throw *refusal;
  return {&gpu.library->open_device(id.index), {{"cuda", gpu.library->implementations()}}};
}

}  // namespace

const GpuBackend& gpu_backend() {
  static const GpuBackend loaded = load_gpu_backend();
  return loaded;
}

DeviceBackends open_backends(const device::DeviceId& id, bool reference_only) {
  if (id.kind == device::Kind::Cuda) return open_cuda(id);
  std::vector<Backend> backends;
  if (!reference_only) backends.push_back({"cpu", cpu::implementations()});
  backends.push_back({"reference", reference::implementations()});
  return {&device::cpu_device(), std::move(backends)};
}

}  // namespace tenon::runtime
