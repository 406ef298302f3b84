#pragma once

#include <string>
#include <vector>

#include "operand.h"
#include "ops/implementation.h"

namespace tenon::device {
class Device;
class Stream;
}  // namespace tenon::device

namespace tenon::conformance {

// libtenon_cuda as this process found it: kernels are listed even where nothing can run them.
struct CudaBackend {
  bool built = false;  // by this build
  std::string load_error;
  ops::ImplementationList implementations;
  device::Device* device = nullptr;  // null: no GPU
  std::string why_no_device;

  // "" where kernels run, else why they do not.
  const std::string& skipped() const { return load_error.empty() ? why_no_device : load_error; }
  bool runs_on_device(const ops::Implementation& implementation) const;
};

const CudaBackend& cuda_backend();

// Buffers as they lie in the memory of the GPU, guards and all.
class DeviceImages {
 public:
  DeviceImages();
  ~DeviceImages();
  device::Stream& stream() { return *stream_; }

  // Copies the buffer to the device. Where `view` points into it, the view of the copy.
  TensorView place(GuardedBuffer& buffer, const TensorView& view);
  std::byte* place(GuardedBuffer& buffer);
  // Waits for the stream, then overwrites every placed buffer with what is on the device.
  void bring_back();

 private:
  struct Image;
  std::unique_ptr<device::Stream> stream_;
  std::vector<std::unique_ptr<Image>> images_;
};

}  // namespace tenon::conformance
