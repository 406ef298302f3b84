#include "cuda_backend.h"

#include <gtest/gtest.h>

#include "device/device.h"

namespace tenon::conformance {
namespace {

// The library starts without a GPU, a driver and cuBLASLt, and says why it has no device.
TEST(CudaBackend, LoadsAndSaysWhatIsMissing) {
  const CudaBackend& backend = cuda_backend();
  if (!backend.built) GTEST_SKIP() << "skip cuda: " << backend.load_error;
  ASSERT_EQ(backend.load_error, "");
  EXPECT_FALSE(backend.implementations.empty());
  EXPECT_EQ(backend.device == nullptr, !backend.why_no_device.empty()) << backend.why_no_device;
}

TEST(CudaBackend, HasDevice) {
  const CudaBackend& backend = cuda_backend();
  if (!backend.device) GTEST_SKIP() << "skip cuda: " << backend.skipped();
  std::printf("cuda: %s\n", backend.device->description().c_str());
  EXPECT_FALSE(backend.device->is_host());
}

class OnDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda_backend().device) GTEST_SKIP() << "skip cuda: " << cuda_backend().skipped();
    device_ = cuda_backend().device;
    stream_ = device_->make_stream();
  }
  device::Device* device_ = nullptr;
  std::unique_ptr<device::Stream> stream_;
};

// Larger than the staging halves, and not a multiple of them. The source may change at once.
TEST_F(OnDevice, PageableUploadIsReadBeforeTheCallReturns) {
  std::vector<int32_t> values((20 << 20) + 3), back(values.size());
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(i * 2654435761u);
  std::vector<int32_t> expected = values;
  auto bytes = static_cast<int64_t>(values.size() * sizeof(int32_t));
  device::Arena memory(device_->allocator(), bytes);
  device_->upload(memory.data(), values.data(), bytes, *stream_);
  std::fill(values.begin(), values.end(), -1);
  device_->download(back.data(), memory.data(), bytes, *stream_);
  stream_->synchronize();
  EXPECT_EQ(back, expected);
}

TEST_F(OnDevice, AllocationBeyondMemorySaysHowMuchIsFree) {
  try {
    device_->allocator().allocate(int64_t{1} << 46);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::OutOfMemory);
    EXPECT_NE(error.got().find("64.0 TiB wanted"), std::string::npos) << error.what();
    EXPECT_NE(error.got().find("free"), std::string::npos) << error.what();
  }
}

TEST_F(OnDevice, RecordedWorkRunsWhenLaunched) {
  device::Arena memory(device_->allocator(), 1024);
  std::vector<std::byte> ones(1024, std::byte{1}), back(1024);
  device_->upload(memory.data(), ones.data(), 1024, *stream_);
  auto graph = device_->record(*stream_, [&] { device_->clear(memory.data(), 512, *stream_); });
  ASSERT_NE(graph, nullptr);
  auto count_ones = [&] {
    device_->download(back.data(), memory.data(), 1024, *stream_);
    stream_->synchronize();
    return std::count(back.begin(), back.end(), std::byte{1});
  };
  EXPECT_EQ(count_ones(), 1024);
  graph->launch(*stream_);
  EXPECT_EQ(count_ones(), 512);
}

// What throws while recording leaves a stream that works.
TEST_F(OnDevice, FailedRecordingLeavesTheStreamUsable) {
  auto fail = [&] { throw Error(ErrorCode::BadInput, "planted"); };
  EXPECT_THROW(device_->record(*stream_, fail), Error);
  auto synchronize = [&] { stream_->synchronize(); };  // not allowed while recording
  EXPECT_THROW(device_->record(*stream_, synchronize), Error);
  device::Arena memory(device_->allocator(), 64);
  device_->clear(memory.data(), 64, *stream_);
  stream_->synchronize();
}

}  // namespace
}  // namespace tenon::conformance
