#include <algorithm>

#include "backends/cpu/ceilings.h"
#include "backends/cpu/impl_list.h"
#include "base/thread_pool.h"
#include "kernels/machine.h"

namespace tenon::bench {
namespace {

// More than any last-level cache of the machines met so far.
constexpr auto kRotatedBytes = static_cast<int64_t>(cpu::kCeilingMemory);
constexpr int64_t kChunk = 1 << 16;  // elements filled by one call of the generator
constexpr int kRepeats = 15;

void fill_chunk(float* to, int64_t count, uint64_t state, float spread) {
  for (int64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    to[i] = spread * static_cast<float>(static_cast<int32_t>(state >> 32)) * 0x1p-31f;
  }
}

class CpuMachine : public Machine {
 public:
  CpuMachine()
      : Machine(device::cpu_device(), cpu::implementations()),
        memory_(*this, DType::U8, {kRotatedBytes}) {
    std::fill_n(memory_.view().as<std::byte>(), kRotatedBytes, std::byte{1});
  }

  int64_t rotated_bytes() const override { return kRotatedBytes; }

  void fill_random(const TensorView& to, uint32_t seed, float spread) override {
    int64_t chunks = (to.count() + kChunk - 1) / kChunk;
    process_thread_pool().parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
      Tensor values = Tensor::make(DType::F32, {kChunk});
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        int64_t first = chunk * kChunk, count = std::min(kChunk, to.count() - first);
        uint64_t state = (static_cast<uint64_t>(seed) << 40) + static_cast<uint64_t>(chunk + 1);
        fill_chunk(values.as<float>(), count, state * 0x9E3779B97F4A7C15ull, spread);
        auto* at = to.as<std::byte>() + dtype_bytes(to.dtype, first);
        copy_convert(values.view().slice(0, 0, count), TensorView(at, to.dtype, {count}));
      }
    });
  }

  // Other load comes and goes on a CPU, and so do its clocks: the ceilings are taken in turns with
  // the calls. They are upper bounds, so the best of each counts.
  Measured measure(int calls, FunctionRef<void()> queue) override {
    std::vector<double> seconds;
    std::vector<Turn> turns;
    Ceilings best;
    queue();
    for (int i = 0; i < kRepeats; ++i) {
      Ceilings now = ceilings_now(i);
      best.f32 = std::max(best.f32, now.f32), best.bf16 = std::max(best.bf16, now.bf16);
      best.i8 = std::max(best.i8, now.i8), best.read = std::max(best.read, now.read);
      double begin = cpu::seconds_now();
      queue();
      seconds.push_back((cpu::seconds_now() - begin) / calls);
      turns.push_back({now, seconds.back()});
    }
    Measured measured = summarise(std::move(seconds));
    measured.ceilings = best;
    measured.turns = std::move(turns);
    return measured;
  }

 private:
  Ceilings ceilings_now(int turn) {
    Ceilings now;
    now.read = cpu::best_read_rate(memory_.view().as<std::byte>(), cpu::kCeilingMemory, turn);
    now.f32 = cpu::fma_flops_per_second();
    now.bf16 = cpu::bf16_flops_per_second();
    now.i8 = cpu::int8_operations_per_second();
    return now;
  }

  // Read to measure the ceiling. The device's allocator asks for large pages, as for the operands:
  // with small ones a virtual machine reads several times slower.
  DeviceTensor memory_;
};

}  // namespace

std::unique_ptr<Machine> open_cpu_machine() {
  return std::make_unique<CpuMachine>();
}

}  // namespace tenon::bench
