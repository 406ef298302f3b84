#include "backends/reference/access.h"

#include <bit>
#include <cmath>
#include <string>

#include "tensor/float_formats.h"

namespace tenon::reference {
namespace {

// Rounding through float to a 16-bit type would round twice. A float "rounded to odd" (cut towards
// zero, last bit set where anything was cut) keeps what the second rounding needs to know.
float round_to_odd(double value) {
  float nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) == value || !std::isfinite(value)) return nearest;
  if (std::fabs(static_cast<double>(nearest)) > std::fabs(value))
    nearest = std::nextafter(nearest, 0.0f);
  return std::bit_cast<float>(std::bit_cast<uint32_t>(nearest) | 1u);
}

bool is_known_float(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16 || dtype == DType::F64;
}

std::string problem_of(const ops::TensorDesc& tensor) {
  if (!tensor.present) return "";
  if (tensor.quant) return "quantised";
  return is_known_float(tensor.dtype) ? "" : std::string(dtype_name(tensor.dtype));
}

}  // namespace

double load(const TensorView& view, int64_t offset) {
  switch (view.dtype) {
    case DType::F32:
      return view.as<const float>()[offset];
    case DType::F16:
      return to_float(view.as<const f16_t>()[offset]);
    case DType::BF16:
      return to_float(view.as<const bf16_t>()[offset]);
    case DType::F64:
      return view.as<const double>()[offset];
    default:
      throw Error(ErrorCode::Unsupported, "element type").got(dtype_name(view.dtype));
  }
}

void store(const TensorView& view, int64_t offset, double value) {
  switch (view.dtype) {
    case DType::F32:
      view.as<float>()[offset] = static_cast<float>(value);
      return;
    case DType::F16:
      view.as<f16_t>()[offset] = to_f16(round_to_odd(value));
      return;
    case DType::BF16:
      view.as<bf16_t>()[offset] = to_bf16(round_to_odd(value));
      return;
    case DType::F64:
      view.as<double>()[offset] = value;
      return;
    default:
      throw Error(ErrorCode::Unsupported, "element type").got(dtype_name(view.dtype));
  }
}

int64_t Rows::offset(int64_t row) const {
  int64_t result = 0;
  for (int axis = view_.rank() - 2; axis >= 0; --axis) {
    result += row % view_.extents[axis] * view_.strides[axis];
    row /= view_.extents[axis];
  }
  return result;
}

std::vector<double> Rows::get_row(int64_t row) const {
  std::vector<double> values(columns());
  for (int64_t i = 0; i < columns(); ++i) values[i] = get(row, i);
  return values;
}

void Rows::set_row(int64_t row, const std::vector<double>& values) const {
  for (int64_t i = 0; i < columns(); ++i) set(row, i, values[i]);
}

int64_t broadcast_offset(const TensorView& view, const Extents& out, int64_t index) {
  int64_t result = 0;
  for (int axis = out.rank() - 1; axis >= 0; --axis) {
    int64_t at = index % out[axis];
    index /= out[axis];
    int own = axis - (out.rank() - view.rank());
    if (own >= 0 && view.extents[own] != 1) result += at * view.strides[own];
  }
  return result;
}

ops::Support support_floats(const ops::OpDesc& desc, std::initializer_list<size_t> float_inputs,
                            std::initializer_list<size_t> float_outputs) {
  for (size_t index : float_inputs) {
    if (index >= desc.inputs.size()) continue;
    std::string problem = problem_of(desc.inputs[index]);
    if (!problem.empty())
      return ops::Support::no("input " + std::to_string(index) + " is " + problem);
  }
  for (size_t index : float_outputs) {
    if (index >= desc.outputs.size()) continue;
    std::string problem = problem_of(desc.outputs[index]);
    if (!problem.empty())
      return ops::Support::no("output " + std::to_string(index) + " is " + problem);
  }
  return ops::Support::yes();
}

}  // namespace tenon::reference
