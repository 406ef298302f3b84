#include "device/allocation_fault.h"

#include <atomic>
#include <cstdlib>

namespace tenon::device {
namespace {

std::atomic<int64_t>& countdown() {
  static std::atomic<int64_t> value = [] {
    const char* text = std::getenv("TENON_FAIL_DEVICE_ALLOCATION");
    return text ? std::strtoll(text, nullptr, 10) : 0;
  }();
  return value;
}

}  // namespace

void fail_device_allocation(int64_t nth) {
  countdown() = nth;
}

bool take_allocation_fault() {
  std::atomic<int64_t>& left = countdown();
  int64_t before = left.load();
  while (before > 0) {
    if (left.compare_exchange_weak(before, before - 1)) return before == 1;
  }
  return false;
}

int64_t allocation_fault_pending() {
  return countdown();
}

}  // namespace tenon::device
