#include "operand.h"

#include <algorithm>
#include <cstring>

#include "backends/reference/access.h"

namespace tenon::conformance {

GuardedBuffer::GuardedBuffer(int64_t bytes, std::byte guard, std::byte payload)
    : memory_(bytes + 2 * kGuardBytes + 64, guard), bytes_(bytes), guard_(guard) {
  auto address = reinterpret_cast<uintptr_t>(memory_.data()) + kGuardBytes;
  start_ = kGuardBytes + static_cast<int64_t>((64 - address % 64) % 64);
  std::fill_n(data(), bytes, payload);
}

bool GuardedBuffer::guards_intact() const {
  auto is_guard = [this](std::byte byte) { return byte == guard_; };
  return std::all_of(memory_.begin(), memory_.begin() + start_, is_guard) &&
         std::all_of(memory_.begin() + start_ + bytes_, memory_.end(), is_guard);
}

GuardedBuffer GuardedBuffer::copy() const {
  GuardedBuffer result(bytes_, guard_, guard_);
  std::copy_n(data(), bytes_, result.data());
  return result;
}

bool GuardedBuffer::same_bytes(const GuardedBuffer& other) const {
  return bytes_ == other.bytes_ && std::equal(data(), data() + bytes_, other.data());
}

Operand Operand::in_bucket(const Extents& upper) && {
  bucket = upper;
  return std::move(*this);
}

Operand Operand::as_state() && {
  state = true;
  return std::move(*this);
}

Random::Random(std::string_view name) {
  // FNV-1a, so that the data is the same on every platform.
  uint64_t hash = 14695981039346656037ull;
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  engine_.seed(hash);
}

namespace {

Operand make_operand(DType dtype, const Extents& extents, Layout layout) {
  Operand operand;
  operand.present = true;
  operand.bucket = extents;
  TensorView shape(nullptr, dtype, extents);
  int64_t element = dtype_bits(dtype) / 8;
  int64_t pad = layout == Layout::StridedRows ? 5 : 0,
          first = layout == Layout::StridedRows ? 3 : 0;
  int64_t pitch = shape.columns() + pad;
  operand.buffer = GuardedBuffer((shape.rows() * pitch + first) * element, GuardedBuffer::kNanByte,
                                 GuardedBuffer::kNanByte);
  operand.view = TensorView(operand.buffer.data() + first * element, dtype, extents);
  int64_t step = pitch;
  for (int axis = extents.rank() - 2; axis >= 0; --axis) {
    operand.view.strides[axis] = step;
    step *= extents[axis];
  }
  return operand;
}

}  // namespace

Operand absent() {
  return {};
}

Operand random_floats(Random& random, DType dtype, const Extents& extents, const Fill& fill) {
  Operand operand = make_operand(dtype, extents, fill.layout);
  reference::Rows rows(operand.view);
  for (int64_t row = 0; row < rows.count(); ++row) {
    for (int64_t i = 0; i < rows.columns(); ++i) {
      rows.set(row, i, fill.offset + fill.spread * random.normal());
    }
  }
  return operand;
}

Operand floats(DType dtype, const Extents& extents, std::span<const double> values) {
  Operand operand = make_operand(dtype, extents, Layout::Contiguous);
  TENON_CHECK(static_cast<int64_t>(values.size()) == extents.count());
  for (size_t i = 0; i < values.size(); ++i) reference::store(operand.view, i, values[i]);
  return operand;
}

Operand ints(const Extents& extents, std::span<const int32_t> values) {
  Operand operand = make_operand(DType::I32, extents, Layout::Contiguous);
  TENON_CHECK(static_cast<int64_t>(values.size()) == extents.count());
  std::copy(values.begin(), values.end(), operand.view.as<int32_t>());
  return operand;
}

Operand ints(const std::vector<int32_t>& values) {
  return ints({static_cast<int64_t>(values.size())}, values);
}

Operand from_tensor(const Tensor& tensor) {
  Operand operand;
  operand.present = true;
  operand.bucket = tensor.extents();
  operand.buffer =
      GuardedBuffer(tensor.view().bytes(), GuardedBuffer::kNanByte, GuardedBuffer::kNanByte);
  operand.view = TensorView(operand.buffer.data(), tensor.dtype(), tensor.extents());
  std::memcpy(operand.view.data, tensor.view().data, tensor.view().bytes());
  return operand;
}

std::vector<double> values_of(const TensorView& view) {
  std::vector<double> values;
  reference::Rows rows(view);
  for (int64_t row = 0; row < rows.count(); ++row) {
    for (int64_t i = 0; i < rows.columns(); ++i) values.push_back(rows.get(row, i));
  }
  return values;
}

std::vector<double> values_of(const Operand& operand) {
  return operand.present ? values_of(operand.view) : std::vector<double>();
}

std::vector<int32_t> ints_of(const Operand& operand) {
  if (!operand.present) return {};
  const int32_t* data = operand.view.as<const int32_t>();
  return {data, data + operand.view.count()};
}

}  // namespace tenon::conformance
