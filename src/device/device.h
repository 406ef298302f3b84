#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"

namespace tenon::device {

enum class Kind { Cpu, Cuda };

// "cpu", "cuda", "cuda:1".
struct DeviceId {
  Kind kind = Kind::Cpu;
  int index = 0;
  static DeviceId parse(std::string_view text);  // throws ErrorCode::Usage
  std::string to_string() const;
  bool operator==(const DeviceId&) const = default;
};

// Work queued on one stream runs in order.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void synchronize() = 0;
  virtual void* native() const { return nullptr; }
};

class Event {
 public:
  virtual ~Event() = default;
  virtual void record(Stream& stream) = 0;
  virtual void synchronize() = 0;
  // Seconds since `start` was recorded; both must have completed.
  virtual double seconds_since(const Event& start) const = 0;
};

// Device memory. allocate throws ErrorCode::OutOfMemory with wanted and free bytes.
class Allocator {
 public:
  virtual ~Allocator() = default;
  virtual void* allocate(int64_t bytes) = 0;  // 256-byte aligned, uninitialised
  virtual void free(void* pointer, int64_t bytes) = 0;
};

// Owns one allocation.
class Arena {
 public:
  Arena() = default;
  Arena(Allocator& allocator, int64_t bytes);
  ~Arena() { release(); }
  Arena(Arena&& other) noexcept { swap(other); }
  Arena& operator=(Arena&& other) noexcept {
    swap(other);
    return *this;
  }
  void* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  void release();
  void swap(Arena& other) noexcept {
    std::swap(allocator_, other.allocator_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  Allocator* allocator_ = nullptr;
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

// Collectives between the ranks of a session.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual void all_reduce_sum(void* data, int64_t count, DType dtype, Stream& stream) = 0;
  virtual void all_gather(const void* from, void* to, int64_t count, DType dtype, Stream& stream) = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceId id() const = 0;
  virtual std::string description() const = 0;  // "AMD EPYC, 2 threads, avx512_bf16"
  virtual Allocator& allocator() = 0;
  virtual std::unique_ptr<Stream> make_stream() = 0;
};

// The host CPU as a device.
Device& cpu_device();
Allocator& host_allocator();

}  // namespace tenon::device
