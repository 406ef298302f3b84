#pragma once

#include <cstdint>

namespace tenon::device {

// For tests of what happens when a device runs out of memory: the nth request from now on (1 is the
// next) fails as if there were none, once. 0 lets all succeed. TENON_FAIL_DEVICE_ALLOCATION sets
// the start value. Requests are everything a back end asks its device or the driver to set aside:
// device memory, pinned host memory, streams, recorded graphs.
void fail_device_allocation(int64_t nth);

// Called by back ends before each request; whether it must fail.
bool take_allocation_fault();

// Requests that are still to succeed before the fault; 0 where it has come, or none is set.
int64_t allocation_fault_pending();

}  // namespace tenon::device
