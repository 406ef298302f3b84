#pragma once

#include <vector>

#include "device/device.h"
#include "plan/plan.h"
#include "runtime/constant_source.h"

namespace tenon::runtime {

// The weights of a plan in a device's memory: copied once, when first asked for. Throws
// ErrorCode::OutOfMemory before any copy where they do not fit.
class DeviceConstants : public ConstantSource {
 public:
  DeviceConstants(const plan::Plan& plan, ConstantSource& host, device::Device& device);
  TensorView constant(size_t index) override;
  // That the first constant() will allocate; 0 after it.
  int64_t pending_bytes() const;

 private:
  void upload_all();

  const plan::Plan& plan_;
  ConstantSource& host_;
  device::Device& device_;
  device::Arena memory_;
  std::vector<TensorView> views_;
};

}  // namespace tenon::runtime
