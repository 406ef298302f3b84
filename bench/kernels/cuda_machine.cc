#include <cuda_runtime_api.h>

#include <string>

#include "base/error.h"
#include "kernels/cuda_kernels.h"
#include "kernels/machine.h"
#include "kernels/operation.h"
#include "ops/linear.h"
#include "runtime/backend_loader.h"

namespace tenon::bench {
namespace {

constexpr int64_t kRotatedBytes = 512 << 20;  // several times the L2 of any GPU
constexpr int64_t kReadBytes = 4ll << 30;
constexpr int kWarmUp = 3, kRepeats = 25;

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  throw Error(ErrorCode::DeviceFault, call).got(cudaGetErrorString(status));
}

class Timer {
 public:
  Timer() {
    check(cudaEventCreate(&begin_), "cudaEventCreate");
    check(cudaEventCreate(&end_), "cudaEventCreate");
  }
  ~Timer() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  double seconds_of(cudaStream_t stream, FunctionRef<void()> work) {
    check(cudaEventRecord(begin_, stream), "cudaEventRecord");
    work();
    check(cudaEventRecord(end_, stream), "cudaEventRecord");
    check(cudaEventSynchronize(end_), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin_, end_), "cudaEventElapsedTime");
    return milliseconds * 1e-3;
  }

 private:
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

class CudaMachine : public Machine {
 public:
  explicit CudaMachine(const runtime::DeviceBackends& backends)
      : Machine(*backends.device, backends.backends.front().implementations) {
    ceilings_ = measure_ceilings();
  }

  int64_t rotated_bytes() const override { return kRotatedBytes; }

  void fill_random(const TensorView& to, uint32_t seed, float spread) override {
    check(bench::fill_random(to.data, to.dtype, to.count(), seed, spread, native()), "fill_random");
    stream()->synchronize();
  }

  // Recorded once and replayed, as a session replays a step: the host's launches cost nothing.
  Measured measure(int calls, FunctionRef<void()> queue) override {
    queue();  // outside the recording: libraries load and choose now
    stream()->synchronize();
    std::unique_ptr<device::Graph> graph = device().record(*stream(), queue);
    Timer timer;
    std::vector<double> samples;
    for (int i = 0; i < kWarmUp + kRepeats; ++i) {
      double seconds = timer.seconds_of(native(), [&] { graph->launch(*stream()); });
      if (i >= kWarmUp) samples.push_back(seconds / calls);
    }
    Measured measured = summarise(std::move(samples));
    measured.ceilings = ceilings_;
    return measured;
  }

 private:
  cudaStream_t native() const { return static_cast<cudaStream_t>(stream()->native()); }

  Ceilings measure_ceilings() {
    Ceilings ceilings;
    {
      DeviceTensor data = DeviceTensor::random(*this, DType::F32, {kReadBytes / 4}, 1);
      DeviceTensor sink(*this, DType::F32, {1});
      ceilings.read = kReadBytes / measure(1, [&] {
                                     check(read_all(data.view().data, kReadBytes,
                                                    sink.view().as<float>(), native()),
                                           "read_all");
                                   }).seconds;
    }
    ceilings.f16 = product_rate(DType::F16, 8192);
    ceilings.bf16 = product_rate(DType::BF16, 8192);
    ceilings.f32 = product_rate(DType::F32, 4096);
    return ceilings;
  }

  // Operations a second of a cuBLASLt product of size^3.
  double product_rate(DType dtype, int64_t size) {
    DeviceTensor x = DeviceTensor::random(*this, dtype, {size, size}, 2);
    DeviceTensor weight = DeviceTensor::random(*this, dtype, {size, size}, 3);
    DeviceTensor y(*this, dtype, {size, size});
    Operands operands{{x.view(), weight.view(), {}, {}}, {y.view()}};
    ops::Attributes attributes = ops::to_attributes(ops::Linear{});
    for (const ops::Implementation* candidate : implementations()) {
      if (candidate->name.find("cublaslt") == std::string_view::npos) continue;
      Operation product(*this, *candidate, attributes, operands);
      if (!product.support().ok) continue;
      double operations = 2.0 * static_cast<double>(size * size * size);
      return operations / measure(1, [&] { product.run(operands); }).seconds;
    }
    return 0;
  }

  Ceilings ceilings_;
};

}  // namespace

std::unique_ptr<Machine> open_cuda_machine(int index) {
  return std::make_unique<CudaMachine>(runtime::open_backends({device::Kind::Cuda, index}));
}

}  // namespace tenon::bench
