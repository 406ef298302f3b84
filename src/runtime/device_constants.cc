#include "runtime/device_constants.h"

#include <algorithm>

#include "base/checked.h"

namespace tenon::runtime {

DeviceConstants::DeviceConstants(const plan::Plan& plan, ConstantSource& host,
                                 device::Device& device)
    : plan_(plan), host_(host), device_(device) {}

void DeviceConstants::upload_all() {
  constexpr int64_t kAlignment = 256;
  int64_t total = 0;
  for (const plan::Constant& constant : plan_.constants) {
    total =
        checked_add(total, round_up(std::max<int64_t>(constant.bytes, 1), kAlignment), "weights");
  }
  memory_ = device::Arena(device_.allocator(), std::max<int64_t>(total, kAlignment));
  auto stream = device_.make_stream();
  std::byte* at = static_cast<std::byte*>(memory_.data());
  std::vector<TensorView> views;
  for (size_t i = 0; i < plan_.constants.size(); ++i) {
    const plan::Constant& constant = plan_.constants[i];
    if (constant.bytes > 0) device_.upload(at, host_.constant(i).data, constant.bytes, *stream);
    views.emplace_back(at, constant.dtype, constant.extents);
    at += round_up(std::max<int64_t>(constant.bytes, 1), kAlignment);
  }
  stream->synchronize();
  views_ = std::move(views);
}

TensorView DeviceConstants::constant(size_t index) {
  if (views_.empty()) upload_all();
  return views_.at(index);
}

}  // namespace tenon::runtime
