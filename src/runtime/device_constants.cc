#include "runtime/device_constants.h"

#include <algorithm>

#include "base/checked.h"

namespace tenon::runtime {
namespace {

constexpr int64_t kAlignment = 256;

int64_t place_bytes(const plan::Constant& constant) {
  return round_up(std::max<int64_t>(constant.bytes, 1), kAlignment);
}

}  // namespace

DeviceConstants::DeviceConstants(const plan::Plan& plan, ConstantSource& host,
                                 device::Device& device)
    : plan_(plan), host_(host), device_(device) {}

int64_t DeviceConstants::pending_bytes() const {
  if (!views_.empty()) return 0;
  int64_t total = 0;
  for (const plan::Constant& constant : plan_.constants) {
    total = checked_add(total, place_bytes(constant), "weights");
  }
  return total;
}

// Members change only once everything is there: what fails leaves nothing, and may be tried again.
void DeviceConstants::upload_all() {
  device::Arena memory(device_.allocator(), std::max<int64_t>(pending_bytes(), kAlignment));
  auto stream = device_.make_stream();
  std::byte* at = static_cast<std::byte*>(memory.data());
  std::vector<TensorView> views;
  for (size_t i = 0; i < plan_.constants.size(); ++i) {
    const plan::Constant& constant = plan_.constants[i];
    if (constant.bytes > 0) device_.upload(at, host_.constant(i).data, constant.bytes, *stream);
    views.emplace_back(at, constant.dtype, constant.extents);
    at += place_bytes(constant);
  }
  stream->synchronize();
  memory_ = std::move(memory);
  views_ = std::move(views);
}

TensorView DeviceConstants::constant(size_t index) {
  if (views_.empty()) upload_all();
  return views_.at(index);
}

}  // namespace tenon::runtime
