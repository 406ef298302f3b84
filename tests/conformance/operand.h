#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace tenon::conformance {

// Bytes with a guard before and after: a write outside is seen, and a read outside finds NaNs where
// the guard byte is kNanByte. The payload is 64-byte aligned.
class GuardedBuffer {
 public:
  static constexpr std::byte kNanByte{0xFF}, kWriteGuard{0xA5};

  GuardedBuffer(int64_t bytes, std::byte guard, std::byte payload);
  std::byte* data() { return memory_.data() + start_; }
  const std::byte* data() const { return memory_.data() + start_; }
  std::span<std::byte> payload() { return {data(), static_cast<size_t>(bytes_)}; }
  // With the guards.
  std::span<std::byte> whole() { return memory_; }
  bool guards_intact() const;
  // Copies guards and payload into new memory.
  GuardedBuffer copy() const;
  bool same_bytes(const GuardedBuffer& other) const;

  GuardedBuffer(GuardedBuffer&&) = default;
  GuardedBuffer& operator=(GuardedBuffer&&) = default;

 private:
  static constexpr int64_t kGuardBytes = 256;
  std::vector<std::byte> memory_;
  int64_t start_ = 0, bytes_ = 0;
  std::byte guard_;
};

// One input of a case.
struct Operand {
  bool present = false;
  bool state = false;  // updated in place: each run gets a copy
  GuardedBuffer buffer{0, GuardedBuffer::kNanByte, GuardedBuffer::kNanByte};
  TensorView view;  // into `buffer`
  Extents bucket;   // what the desc promises: at least the extents

  Operand in_bucket(const Extents& upper) &&;
  Operand as_state() &&;
};

// Numbers that depend on the case's name alone, so that a case keeps its data when others come.
class Random {
 public:
  explicit Random(std::string_view name);
  double normal() { return normal_(engine_); }
  double uniform() { return uniform_(engine_); }  // [0, 1)
  int64_t below(int64_t limit) {
    return static_cast<int64_t>(uniform() * static_cast<double>(limit));
  }

 private:
  std::mt19937_64 engine_;
  std::normal_distribution<double> normal_;
  std::uniform_real_distribution<double> uniform_{0.0, 1.0};
};

// How rows lie: one after the other, or as the columns of a wider tensor (a slice of a packed
// projection), with NaNs between and an unaligned start.
enum class Layout { Contiguous, StridedRows };

struct Fill {
  double spread = 1.0, offset = 0.0;  // offset + spread * normal
  Layout layout = Layout::Contiguous;
};

Operand absent();
Operand random_floats(Random& random, DType dtype, const Extents& extents, const Fill& fill = {});
Operand floats(DType dtype, const Extents& extents, std::span<const double> values);
Operand ints(const Extents& extents, std::span<const int32_t> values);
Operand ints(const std::vector<int32_t>& values);
// The tensor's bytes as they are.
Operand from_tensor(const Tensor& tensor);

// All elements in row-major order, exact.
std::vector<double> values_of(const TensorView& view);
std::vector<double> values_of(const Operand& operand);  // empty where absent
std::vector<int32_t> ints_of(const Operand& operand);

}  // namespace tenon::conformance
