#include "cuda_backend.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>

#include "device/device.h"
#include "device/gpu_survey.h"
#include "ops/backend_library.h"

namespace tenon::conformance {
namespace {

CudaBackend load() {
  CudaBackend backend;
#ifdef TENON_HAS_CUDA_BACKEND
  backend.built = true;
  const char* chosen = std::getenv("TENON_CUDA_LIBRARY");
  // The test's own RPATH finds the library of its build.
  void* handle = dlopen(chosen && *chosen ? chosen : "libtenon_cuda.so", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    backend.load_error = dlerror();
    return backend;
  }
  using Entry = const ops::BackendLibrary* (*)();
  auto entry = reinterpret_cast<Entry>(dlsym(handle, "tenon_backend_library"));
  if (!entry) {
    backend.load_error = "libtenon_cuda.so lacks tenon_backend_library";
    return backend;
  }
  const ops::BackendLibrary& library = *entry();
  backend.implementations = library.implementations();
  if (auto refusal = device::gpu_refusal(library.survey(), 0)) {
    backend.why_no_device = refusal->what();
  } else {
    backend.device = &library.open_device(0);
  }
#else
  backend.load_error = "this build has no CUDA back end";
#endif
  return backend;
}

}  // namespace

const CudaBackend& cuda_backend() {
  static const CudaBackend backend = load();
  return backend;
}

bool CudaBackend::runs_on_device(const ops::Implementation& implementation) const {
  return std::find(implementations.begin(), implementations.end(), &implementation) !=
         implementations.end();
}

struct DeviceImages::Image {
  GuardedBuffer& buffer;
  device::Arena memory;
  std::byte* start;  // of the guards
};

DeviceImages::DeviceImages() : stream_(cuda_backend().device->make_stream()) {}
DeviceImages::~DeviceImages() = default;

std::byte* DeviceImages::place(GuardedBuffer& buffer) {
  device::Device& device = *cuda_backend().device;
  std::span<std::byte> whole = buffer.whole();
  constexpr int64_t kAlignment = 256;
  int64_t lead = buffer.data() - whole.data();
  // The payload is aligned as the device's allocator aligns; the guards are not.
  int64_t shift = (kAlignment - lead % kAlignment) % kAlignment;
  auto bytes = static_cast<int64_t>(whole.size());
  device::Arena memory(device.allocator(), bytes + kAlignment);
  std::byte* start = static_cast<std::byte*>(memory.data()) + shift;
  device.upload(start, whole.data(), bytes, *stream_);
  images_.push_back(std::make_unique<Image>(Image{buffer, std::move(memory), start}));
  return start + lead;
}

TensorView DeviceImages::place(GuardedBuffer& buffer, const TensorView& view) {
  int64_t offset = static_cast<const std::byte*>(view.data) - buffer.data();
  TensorView result = view;
  result.data = place(buffer) + offset;
  return result;
}

void DeviceImages::bring_back() {
  device::Device& device = *cuda_backend().device;
  for (auto& image : images_) {
    std::span<std::byte> whole = image->buffer.whole();
    device.download(whole.data(), image->start, static_cast<int64_t>(whole.size()), *stream_);
  }
  stream_->synchronize();
}

}  // namespace tenon::conformance
