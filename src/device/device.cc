#include "device/device.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"
#include "base/thread_pool.h"

namespace tenon::device {
namespace {

// Pages come from mmap: large arenas go back to the system at once, and use large pages where the
// system has them.
class HostAllocator : public Allocator {
 public:
  void* allocate(int64_t bytes) override {
    if (bytes > kMost) throw exhausted(bytes);
    int64_t size = mapped(bytes), slack = size < kLargePage ? 0 : kLargePage;
    void* all =
        mmap(nullptr, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) throw exhausted(bytes);
    auto* data = static_cast<std::byte*>(all);
    if (slack == 0) return data;
    int64_t before = -reinterpret_cast<intptr_t>(data) & (kLargePage - 1);
    if (before > 0) munmap(data, before);
    if (before < slack) munmap(data + before + size, slack - before);
    madvise(data + before, size, MADV_HUGEPAGE);
    return data + before;
  }
  void free(void* pointer, int64_t bytes) override { munmap(pointer, mapped(bytes)); }

 private:
  // What is large is whole large pages: with small ones the parts that a core works on at once
  // crowd some sets of its caches and leave others empty.
  static constexpr int64_t kLargePage = 2 << 20, kLarge = 1 << 20;
  static constexpr int64_t kMost = INT64_MAX - 2 * kLargePage;
  static Error exhausted(int64_t bytes) {
    return std::move(
        Error(ErrorCode::OutOfMemory, "cannot allocate host memory").got(format_bytes(bytes)));
  }
  static int64_t mapped(int64_t bytes) {
    return bytes < kLarge ? bytes : round_up(bytes, kLargePage);
  }
};

class HostStream : public Stream {
 public:
  void synchronize() override {}
};

std::string cpu_model_name() {
  std::string name = "CPU";
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/cpuinfo", "r"),
                                                       &std::fclose);
  char line[512];
  while (file && std::fgets(line, sizeof line, file.get())) {
    if (std::strncmp(line, "model name", 10) != 0) continue;
    if (const char* colon = std::strchr(line, ':')) name = colon + 2;
    while (!name.empty() && name.back() == '\n') name.pop_back();
    break;
  }
  return name;
}

class CpuDevice : public Device {
 public:
  DeviceId id() const override { return {Kind::Cpu, 0}; }
  std::string description() const override {
    return cpu_model_name() + ", " + std::to_string(process_thread_pool().size()) + " threads";
  }
  std::string fingerprint() const override { return cpu_model_name(); }
  bool is_host() const override { return true; }
  Allocator& allocator() override { return host_allocator(); }
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<HostStream>(); }
  Allocator& pinned_allocator() override { return host_allocator(); }
  void upload(void* to, const void* from, int64_t bytes, Stream&) override {
    std::memcpy(to, from, bytes);
  }
  void download(void* to, const void* from, int64_t bytes, Stream&) override {
    std::memcpy(to, from, bytes);
  }
  void clear(void* memory, int64_t bytes, Stream&) override { std::memset(memory, 0, bytes); }
  std::unique_ptr<Graph> record(Stream&, FunctionRef<void()>) override { return nullptr; }
};

}  // namespace

DeviceId DeviceId::parse(std::string_view text) {
  if (text == "cpu") return {Kind::Cpu, 0};
  if (text == "cuda") return {Kind::Cuda, 0};
  if (text.substr(0, 5) == "cuda:" && text.size() > 5 && text.size() < 9 &&
      text.find_first_not_of("0123456789", 5) == text.npos) {
    return {Kind::Cuda, std::stoi(std::string(text.substr(5)))};
  }
  throw Error(ErrorCode::Usage, "unknown device").got(text).accepted("cpu, cuda, cuda:<n>");
}

std::string DeviceId::to_string() const {
  if (kind == Kind::Cpu) return "cpu";
  return index == 0 ? "cuda" : "cuda:" + std::to_string(index);
}

Arena::Arena(Allocator& allocator, int64_t bytes) : allocator_(&allocator), bytes_(bytes) {
  if (bytes > 0) data_ = allocator.allocate(bytes);
}

void Arena::release() {
  if (data_) allocator_->free(data_, bytes_);
  data_ = nullptr;
  bytes_ = 0;
}

Device& cpu_device() {
  static CpuDevice device;
  return device;
}

Allocator& host_allocator() {
  static HostAllocator allocator;
  return allocator;
}

}  // namespace tenon::device
