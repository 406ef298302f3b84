#include "device/device.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "device/allocation_fault.h"

namespace tenon::device {
namespace {

TEST(DeviceId, ParsesAndPrints) {
  EXPECT_EQ(DeviceId::parse("cuda:3").to_string(), "cuda:3");
  EXPECT_EQ(DeviceId::parse("cuda"), (DeviceId{Kind::Cuda, 0}));
  for (const char* text : {"", "gpu", "cuda:", "cuda:x", "cuda:99999"}) {
    EXPECT_THROW(DeviceId::parse(text), Error) << text;
  }
}

TEST(Arena, MovesOwnershipAndReportsExhaustion) {
  Arena arena(host_allocator(), 1 << 20);
  static_cast<char*>(arena.data())[(1 << 20) - 1] = 1;
  Arena moved = std::move(arena);
  EXPECT_EQ(moved.bytes(), 1 << 20);
  EXPECT_THROW(Arena(host_allocator(), int64_t{1} << 60), Error);
  EXPECT_THROW(Arena(host_allocator(), INT64_MAX), Error);
}

// Large ones begin where a large page does, and all of what was asked for is there.
TEST(Arena, IsWholeLargePagesWhereItIsLarge) {
  constexpr int64_t kLargePage = 2 << 20;
  for (int64_t bytes : {kLargePage / 2, kLargePage - 1, kLargePage, 2 * kLargePage + 1}) {
    Arena arenas[] = {Arena(host_allocator(), bytes), Arena(host_allocator(), bytes)};
    for (Arena& arena : arenas) {
      auto* data = static_cast<char*>(arena.data());
      EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % kLargePage, 0u) << bytes;
      data[0] = data[bytes - 1] = 1;
      EXPECT_EQ(data[bytes / 2], 0);
    }
  }
}

TEST(AllocationFault, FailsTheNthRequestOnce) {
  EXPECT_FALSE(take_allocation_fault());
  fail_device_allocation(3);
  EXPECT_FALSE(take_allocation_fault());
  EXPECT_FALSE(take_allocation_fault());
  EXPECT_EQ(allocation_fault_pending(), 1);
  EXPECT_TRUE(take_allocation_fault());
  EXPECT_FALSE(take_allocation_fault());
  EXPECT_EQ(allocation_fault_pending(), 0);
}

}  // namespace
}  // namespace tenon::device
