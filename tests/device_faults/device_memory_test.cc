// A GPU that runs out of memory, at any point: one clear error with its own code, and a process,
// plan and session that work afterwards. Runs against the fake GPU where TENON_CUDA_LIBRARY names
// it, else against a real one. TENON_TEST_PLAN names another plan than the small one made here.
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "device/allocation_fault.h"
#include "device/device.h"
#include "pipelines/llm/test_plan.h"
#include "runtime/backend_loader.h"
#include "tenon/tenon.h"

namespace tenon {
namespace {

using testing::HasSubstr;

struct Answer {
  std::vector<int32_t> ids;
  std::vector<float> logprobs;
  bool operator==(const Answer&) const = default;
};

class DeviceMemory : public testing::Test {
 protected:
  void SetUp() override {
    try {
      device_ = runtime::open_backends({device::Kind::Cuda, 0}).device;
    } catch (const Error& error) {
      GTEST_SKIP() << "skip device memory: " << error.what();
    }
    const char* chosen = std::getenv("TENON_TEST_PLAN");
    path_ = chosen ? chosen : "";
    if (path_.empty()) {
      path_ = std::filesystem::temp_directory_path() /
              ("tenon_memory_" + std::to_string(getpid()) + ".plan");
      llm::TestModel().write(path_);
      written_ = true;
    }
    ASSERT_EQ(tenon_plan_open(path_.c_str(), &plan_, nullptr), TENON_OK);
  }
  void TearDown() override {
    device::fail_device_allocation(0);
    tenon_llm_destroy(llm_);
    tenon_plan_close(plan_);
    if (written_) std::remove(path_.c_str());
  }

  // Each returns whether it succeeded; a failure must be the one of missing memory, told clearly.
  bool create(std::string* message = nullptr) {
    tenon_llm_options options{};
    options.struct_size = sizeof options;
    options.device = "cuda";
    tenon_error* error = nullptr;
    tenon_code code = tenon_llm_create(plan_, &options, &llm_, &error);
    return answer(code, error, message) && llm_ != nullptr;
  }
  bool generate(int prompt_tokens, Answer& result) {
    std::vector<int32_t> prompt(prompt_tokens);
    std::iota(prompt.begin(), prompt.end(), 1);
    tenon_segment segment{TENON_SEGMENT_IDS, 0, prompt.data(), prompt.size(), 0};
    tenon_sampling sampling = TENON_SAMPLING_GREEDY;
    sampling.max_new_tokens = 6;
    sampling.ignore_eos = 1;
    tenon_result* made = nullptr;
    tenon_error* error = nullptr;
    tenon_code code =
        tenon_llm_generate(llm_, &segment, 1, &sampling, nullptr, nullptr, &made, &error);
    if (!answer(code, error, nullptr)) return false;
    size_t count = 0;
    const int32_t* ids = tenon_result_ids(made, &count);
    const float* logprobs = tenon_result_logprobs(made, &count);
    result = {{ids, ids + count}, {logprobs, logprobs + count}};
    tenon_result_free(made);
    return true;
  }

  device::Device* device_ = nullptr;
  tenon_plan* plan_ = nullptr;
  tenon_llm* llm_ = nullptr;

 private:
  bool answer(tenon_code code, tenon_error* error, std::string* message) {
    if (code == TENON_OK) return true;
    EXPECT_EQ(code, TENON_OUT_OF_MEMORY) << tenon_error_message(error);
    EXPECT_STRNE(tenon_error_got(error), "") << tenon_error_message(error);
    if (message) *message = tenon_error_message(error);
    tenon_error_free(error);
    return false;
  }
  std::string path_;
  bool written_ = false;
};

// The nth request fails, wherever it comes; what was refused is asked for again and must work, with
// the results of a run without a fault. Until a run needs fewer requests than n.
TEST_F(DeviceMemory, AnyFailedAllocationLeavesEverythingUsable) {
  constexpr int kShort = 3, kLong = 24;
  Answer short_one, long_one;
  ASSERT_TRUE(create());
  ASSERT_TRUE(generate(kShort, short_one));
  ASSERT_TRUE(generate(kLong, long_one));
  EXPECT_EQ(short_one.ids.size(), 6u);
  int64_t nth = 1, failures = 0;
  for (bool hit = true; hit; ++nth) {
    ASSERT_LT(nth, 1000);
    tenon_llm_destroy(llm_);
    llm_ = nullptr;
    device::fail_device_allocation(nth);
    Answer first, second;
    int refused = 0;
    auto at_most_twice = [&](auto call) { return call() || (++refused, call()); };
    ASSERT_TRUE(at_most_twice([&] { return create(); })) << "request " << nth;
    ASSERT_TRUE(at_most_twice([&] { return generate(kShort, first); })) << "request " << nth;
    ASSERT_TRUE(at_most_twice([&] { return generate(kLong, second); })) << "request " << nth;
    EXPECT_EQ(first, short_one) << "after request " << nth << " failed";
    EXPECT_EQ(second, long_one) << "after request " << nth << " failed";
    // Still usable for the size it had before the failure.
    ASSERT_TRUE(at_most_twice([&] { return generate(kShort, first); })) << "request " << nth;
    EXPECT_EQ(first, short_one) << "after request " << nth << " failed";
    hit = device::allocation_fault_pending() == 0;
    // Exactly one call saw it. (Where a back end has another way, none may need to.)
    EXPECT_EQ(refused, hit ? 1 : 0) << "request " << nth;
    failures += refused;
  }
  std::printf("%s: %lld of %lld requests failed, one a run\n", device_->description().c_str(),
              static_cast<long long>(failures), static_cast<long long>(nth - 1));
  EXPECT_GE(failures, 5);
}

// Somebody else holds the memory: refused when the model is opened, before it takes any.
TEST_F(DeviceMemory, ACacheThatDoesNotFitIsRefusedAtAdmission) {
  Answer before, after;
  ASSERT_TRUE(create());
  ASSERT_TRUE(generate(3, before));
  tenon_llm_destroy(llm_);
  llm_ = nullptr;
  // Of a real card little is left in the end, but never nothing: all that can be had is taken.
  std::vector<device::Arena> held;
  for (int64_t piece = device_->free_bytes(); piece >= 256; piece /= 2) {
    try {
      while (device_->free_bytes() >= piece) held.emplace_back(device_->allocator(), piece);
    } catch (const Error&) {
    }
  }
  std::string message;
  EXPECT_FALSE(create(&message));
  EXPECT_EQ(llm_, nullptr);
  EXPECT_THAT(message, HasSubstr("free"));
  std::printf("%s\n", message.c_str());
  held.clear();
  ASSERT_TRUE(create());
  ASSERT_TRUE(generate(3, after));
  EXPECT_EQ(before, after);
}

// With room for the weights but not for the cache, the error speaks of the cache.
TEST_F(DeviceMemory, TheErrorTellsWeightsFromCache) {
  if (device_->description() != "fake GPU") {
    GTEST_SKIP() << "skip exact sizes: only the fake GPU counts single bytes";
  }
  for (auto [left, words] : {std::pair<int64_t, const char*>{1 << 10, "the plan does not fit"},
                             {20 << 10, "the KV cache does not fit"}}) {
    device::Arena held(device_->allocator(), device_->free_bytes() - left);
    std::string message;
    EXPECT_FALSE(create(&message)) << left;
    EXPECT_THAT(message, HasSubstr(words));
    EXPECT_EQ(device_->free_bytes(), left);
  }
}

}  // namespace
}  // namespace tenon
