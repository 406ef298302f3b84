// A GPU back end without a GPU: the CPU's kernels behind a device whose memory is its own, limited,
// and counted. TENON_CUDA_LIBRARY puts it in the place of libtenon_cuda.so. TENON_FAKE_GPU says
// what it pretends, words with a space between:
//   driver=absent, driver=failed, driver=12080   works for CUDA 13.0 where it is not said
//   gpus=2  capability=86  architectures=90a,86  memory=1000000  broken (the GPU does not answer)
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "backends/cpu/impl_list.h"
#include "backends/reference/impl_list.h"
#include "base/error.h"
#include "base/text.h"
#include "device/allocation_fault.h"
#include "device/device.h"
#include "device/gpu_survey.h"
#include "ops/backend_library.h"

namespace tenon::fake_gpu {
namespace {

constexpr int kCudaVersion = 13000;
constexpr int64_t kMemory = 64 << 20;

std::string setting(const std::string& name, const std::string& otherwise) {
  const char* text = std::getenv("TENON_FAKE_GPU");
  for (const std::string& word : split(text ? text : "", ' ')) {
    if (word == name) return "yes";
    if (word.starts_with(name + "=")) return word.substr(name.size() + 1);
  }
  return otherwise;
}

void fail_where_planted(int64_t bytes, int64_t free) {
  if (!device::take_allocation_fault() && bytes <= free) return;
  throw Error(ErrorCode::OutOfMemory, "the GPU has not enough memory")
      .at("fake allocation")
      .got(format_bytes(bytes) + " wanted, " + format_bytes(free) + " free");
}

class Memory : public device::Allocator {
 public:
  explicit Memory(int64_t capacity) : free_(capacity) {}
  void* allocate(int64_t bytes) override {
    fail_where_planted(bytes, free_);
    free_ -= bytes;
    return ::operator new(static_cast<size_t>(bytes), std::align_val_t(256));
  }
  void free(void* pointer, int64_t bytes) override {
    ::operator delete(pointer, std::align_val_t(256));
    free_ += bytes;
  }
  int64_t free_bytes() const { return free_; }

 private:
  std::atomic<int64_t> free_;
};

class FakeStream : public device::Stream {
 public:
  void synchronize() override {}
};

class FakeGpu : public device::Device {
 public:
  explicit FakeGpu(int index) : index_(index) {}
  device::DeviceId id() const override { return {device::Kind::Cuda, index_}; }
  std::string description() const override { return "fake GPU"; }
  bool is_host() const override { return false; }
  device::Allocator& allocator() override { return memory_; }
  int64_t free_bytes() const override { return memory_.free_bytes(); }
  device::Allocator& pinned_allocator() override { return pinned_; }
  std::unique_ptr<device::Stream> make_stream() override {
    fail_where_planted(0, 0);
    return std::make_unique<FakeStream>();
  }
  void upload(void* to, const void* from, int64_t bytes, device::Stream&) override {
    std::memcpy(to, from, bytes);
  }
  void download(void* to, const void* from, int64_t bytes, device::Stream&) override {
    std::memcpy(to, from, bytes);
  }
  void clear(void* memory, int64_t bytes, device::Stream&) override {
    std::memset(memory, 0, bytes);
  }
  // Nothing to record into; but a request that may fail it is.
  std::unique_ptr<device::Graph> record(device::Stream&, FunctionRef<void()>) override {
    fail_where_planted(0, 0);
    return nullptr;
  }

 private:
  int index_;
  Memory memory_{std::stoll(setting("memory", std::to_string(kMemory)))};
  Memory pinned_{kMemory};
};

device::GpuSurvey survey() {
  using Driver = device::GpuSurvey::Driver;
  device::GpuSurvey found{.driver_version = kCudaVersion,
                          .needed_version = kCudaVersion,
                          .architectures = setting("architectures", "90a")};
  std::string driver = setting("driver", std::to_string(kCudaVersion));
  if (driver == "absent" || driver == "failed") {
    found.driver = driver == "absent" ? Driver::Absent : Driver::Failed;
    found.driver_version = driver == "absent" ? 0 : kCudaVersion;
    found.failure = "planted failure";
    return found;
  }
  found.driver_version = std::stoi(driver);
  if (found.driver_version < kCudaVersion) {
    found.driver = Driver::TooOld;
    return found;
  }
  int capability = std::stoi(setting("capability", "90"));
  int count = std::stoi(setting("gpus", "1"));
  for (int index = 0; index < count; ++index) {
    found.gpus.push_back({.index = index,
                          .name = "fake GPU",
                          .major = capability / 10,
                          .minor = capability % 10,
                          .bytes = std::stoll(setting("memory", std::to_string(kMemory))),
                          .problem = setting("broken", "") == "yes" ? "does not answer" : ""});
  }
  return found;
}

std::vector<device::LibraryReport> libraries() {
  return {{.file = "libfake.so.1", .enables = "nothing", .path = "/nowhere/libfake.so.1"},
          {.file = "libabsent.so.1", .enables = "nothing", .problem = "is not found"}};
}

device::Device& open_device(int index) {
  static std::vector<std::unique_ptr<FakeGpu>> devices(8);
  if (auto refusal = device::gpu_refusal(survey(), index)) throw *refusal;
  if (!devices.at(index)) devices[index] = std::make_unique<FakeGpu>(index);
  return *devices[index];
}

ops::ImplementationList implementations() {
  static const std::vector<const ops::Implementation*> list = [] {
    std::vector<const ops::Implementation*> all;
    for (const auto* implementation : cpu::implementations()) all.push_back(implementation);
    for (const auto* implementation : reference::implementations()) all.push_back(implementation);
    return all;
  }();
  return list;
}

}  // namespace
}  // namespace tenon::fake_gpu

extern "C" __attribute__((visibility("default"))) const tenon::ops::BackendLibrary*
tenon_backend_library() {
  using namespace tenon::fake_gpu;
  static constexpr tenon::ops::BackendLibrary kLibrary = {.name = "cuda",
                                                          .survey = survey,
                                                          .libraries = libraries,
                                                          .open_device = open_device,
                                                          .implementations = implementations};
  return &kLibrary;
}
