#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/function_ref.h"
#include "data/json.h"
#include "device/device.h"
#include "ops/implementation.h"
#include "tensor/tensor.h"

namespace tenon::bench {

// What a machine can do, measured beside what is compared with it. 0: unknown.
struct Ceilings {
  double read = 0;                            // bytes a second, reading only
  double f32 = 0, f16 = 0, bf16 = 0, i8 = 0;  // operations a second on operands of that type
  double rate(DType dtype) const;             // f32 where the type has no rate of its own
  data::Json to_json() const;
};

// One turn: the ceilings as they were just then, and a call.
struct Turn {
  Ceilings ceilings;
  double seconds = 0;
};

struct Measured {
  double seconds = 0;       // of one call: the median
  double spread = 0;        // between the 10th and the 90th percentile, as a share of the median
  Ceilings ceilings;        // the best of all turns
  std::vector<Turn> turns;  // empty where ceilings do not change, as on a GPU
};

// Median and spread of samples, each in seconds.
Measured summarise(std::vector<double> samples);

// The device that measurements run on.
class Machine {
 public:
  // Throws ErrorCode::Unsupported where there is no such device.
  static std::unique_ptr<Machine> open(const device::DeviceId& id);
  virtual ~Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  device::Device& device() const { return device_; }
  // Null on the CPU, as kernels are called there.
  device::Stream* stream() const { return device_.is_host() ? nullptr : stream_.get(); }
  // Of the back end itself, best first; the reference is not among them.
  ops::ImplementationList implementations() const { return implementations_; }
  // Operands of this size in turns are in no cache.
  virtual int64_t rotated_bytes() const = 0;
  // `spread` times uniform random numbers of -1 .. 1; f32, f16 or bf16, contiguous. A NaN poisons.
  virtual void fill_random(const TensorView& to, uint32_t seed, float spread) = 0;
  // Times `queue`, which queues or makes `calls` calls, many times.
  virtual Measured measure(int calls, FunctionRef<void()> queue) = 0;
  // Device, processor, versions: what a figure belongs to.
  data::Json fingerprint() const;

  void upload(const TensorView& to, const void* from) const;
  Tensor download(const TensorView& from) const;

 protected:
  Machine(device::Device& device, ops::ImplementationList implementations)
      : device_(device), stream_(device.make_stream()), implementations_(implementations) {}
  device::Stream& any_stream() const { return *stream_; }

 private:
  device::Device& device_;
  std::unique_ptr<device::Stream> stream_;
  ops::ImplementationList implementations_;
};

std::unique_ptr<Machine> open_cpu_machine();
// Throws ErrorCode::Unsupported where this program was built without CUDA.
std::unique_ptr<Machine> open_cuda_machine(int index);

// A tensor in the machine's memory.
class DeviceTensor {
 public:
  DeviceTensor(const Machine& machine, DType dtype, const Extents& extents);  // uninitialised
  static DeviceTensor random(Machine& machine, DType dtype, const Extents& extents, uint32_t seed,
                             float spread = 1.0f);
  static DeviceTensor copy_of(const Machine& machine, const TensorView& host);
  static DeviceTensor ints(const Machine& machine, const Extents& extents,
                           const std::vector<int32_t>& values);
  const TensorView& view() const { return view_; }

 private:
  device::Arena memory_;
  TensorView view_;
};

}  // namespace tenon::bench
