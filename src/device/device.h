#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"
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
  virtual void all_gather(const void* from, void* to, int64_t count, DType dtype,
                          Stream& stream) = 0;
};

// A recorded sequence of work that is launched as one.
class Graph {
 public:
  virtual ~Graph() = default;
  virtual void launch(Stream& stream) = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceId id() const = 0;
  virtual std::string description() const = 0;  // "AMD EPYC, 2 threads"
  // What of it decides which kernels run and how fast: the model, not its memory, threads or
  // driver. Proofs and tactics hold for equal fingerprints.
  virtual std::string fingerprint() const { return description(); }
  // Whether its memory is the host's, so that no copy is needed.
  virtual bool is_host() const = 0;
  virtual Allocator& allocator() = 0;
  // Of its memory, as another program may take it the next moment; -1 where it is the host's.
  virtual int64_t free_bytes() const { return -1; }
  virtual std::unique_ptr<Stream> make_stream() = 0;
  // Host memory that copies to and from the device run from at full speed, without waiting.
  virtual Allocator& pinned_allocator() = 0;
  // Queued on the stream. Pinned host memory must stay unchanged until the stream got past it;
  // other host memory is read before the call returns.
  virtual void upload(void* to, const void* from, int64_t bytes, Stream& stream) = 0;
  virtual void download(void* to, const void* from, int64_t bytes, Stream& stream) = 0;
  virtual void clear(void* memory, int64_t bytes, Stream& stream) = 0;
  // Records what `work` queues on the stream instead of running it; null where the device cannot.
  virtual std::unique_ptr<Graph> record(Stream& stream, FunctionRef<void()> work) = 0;
};

// The host CPU as a device.
Device& cpu_device();
Allocator& host_allocator();

}  // namespace tenon::device
