#include "tensor/formats/quantised_weight.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "base/thread_pool.h"
#include "tensor/float_formats.h"

namespace tenon {
namespace {

bool is_known(const QuantSpec& spec) {
  bool types = (spec.codes == DType::U8 || spec.codes == DType::U4) &&
               (spec.scales == DType::F32 || spec.scales == DType::F16);
  bool group = spec.group == 0 || spec.group == 32 || spec.group == 64 || spec.group == 128;
  return types && group && spec.axis == 0 && !spec.permuted && spec.clusters.empty();
}

// Elements before the code of (row, input).
int64_t code_index(DType codes, const PanelSizes& sizes, int64_t row, int64_t input) {
  int64_t unit = input / kUnitInputs;
  int64_t place = row % kPanelRows * kUnitInputs + input % kUnitInputs;
  constexpr int64_t kUnitCodes = kPanelRows * kUnitInputs;
  if (codes == DType::U8) return (row / kPanelRows * sizes.units + unit) * kUnitCodes + place;
  int64_t pair = row / kPanelRows * (sizes.units / 2) + unit / 2;
  return (pair * kUnitCodes + place) * 2 + unit % 2;
}

int64_t scale_index(const PanelSizes& sizes, int64_t row, int64_t input) {
  int64_t group = input / sizes.group;
  return (row / kPanelRows * sizes.groups + group) * kPanelRows + row % kPanelRows;
}

void set_code(const TensorView& codes, int64_t index, int code) {
  if (codes.dtype == DType::U8) {
    codes.as<uint8_t>()[index] = static_cast<uint8_t>(code);
    return;
  }
  uint8_t& byte = codes.as<uint8_t>()[index / 2];
  int shift = static_cast<int>(index % 2) * 4;
  byte = static_cast<uint8_t>((byte & ~(15 << shift)) | code << shift);
}

// The scale as it is stored: codes are chosen for that one.
float rounded_scale(DType dtype, float scale) {
  return dtype == DType::F16 ? to_float(to_f16(scale)) : scale;
}

struct Range {
  float scale = 0;
  int zero = 0;
};

// Symmetric 8 bits use +-127; 4 bits have so few codes that the extreme gets the one code more that
// one side has, by a scale of either sign.
Range range_of(const float* weights, int64_t count, const QuantSpec& spec) {
  auto [least, most] = std::minmax_element(weights, weights + count);
  float low = *least, high = *most;
  int zero = middle_code(spec.codes), top = largest_code(spec.codes);
  if (spec.zero_points) {
    low = std::min(low, 0.0f);
    high = std::max(high, 0.0f);
    // Halves first: the difference of two finite numbers may not be finite.
    float scale = (high / 2 - low / 2) / (static_cast<float>(top) / 2);
    scale = rounded_scale(spec.scales, scale);
    if (!(scale > 0)) return {0, zero};
    float at = std::nearbyint(std::min(-low / scale, static_cast<float>(top)));
    return {scale, static_cast<int>(at)};
  }
  float extreme = std::fabs(low) > std::fabs(high) ? low : high;
  float scale = spec.codes == DType::U4 ? extreme / -8 : std::fabs(extreme) / 127;
  return {rounded_scale(spec.scales, scale), zero};
}

class Rounding {
 public:
  Rounding(const QuantSpec& spec, const PanelSizes& sizes, const OwnedQuantisedWeight& to)
      : spec_(spec), sizes_(sizes), to_(to) {}

  void row(int64_t row, const float* weights, int64_t in) const {
    for (int64_t first = 0; first < in; first += sizes_.group) {
      int64_t count = std::min(sizes_.group, in - first);
      for (int64_t i = 0; i < count; ++i) {
        if (std::isfinite(weights[first + i])) continue;
        throw Error(ErrorCode::BadInput, "weight is not finite, so it has no scale")
            .at("row " + std::to_string(row) + ", input " + std::to_string(first + i))
            .fix("--check-finite lists every such weight");
      }
      group(row, first, weights + first, count);
    }
  }

 private:
  void group(int64_t row, int64_t first, const float* weights, int64_t count) const {
    Range range = range_of(weights, count, spec_);
    if (!std::isfinite(range.scale)) {
      throw Error(ErrorCode::BadInput, "weights are too large for the type of their scales")
          .at("row " + std::to_string(row))
          .accepted("scales of " + std::string(dtype_name(spec_.scales)));
    }
    int64_t at = scale_index(sizes_, row, first);
    if (spec_.scales == DType::F16) {
      to_.scales.as<f16_t>()[at] = to_f16(range.scale);
    } else {
      to_.scales.as<float>()[at] = range.scale;
    }
    if (spec_.zero_points) to_.zeros.as<uint8_t>()[at] = static_cast<uint8_t>(range.zero);
    float top = static_cast<float>(largest_code(spec_.codes));
    for (int64_t i = 0; i < count; ++i) {
      float code = static_cast<float>(range.zero);
      if (range.scale != 0) code += std::nearbyint(weights[i] / range.scale);
      set_code(to_.codes, code_index(spec_.codes, sizes_, row, first + i),
               static_cast<int>(std::clamp(code, 0.0f, top)));
    }
  }

  const QuantSpec& spec_;
  const PanelSizes& sizes_;
  const OwnedQuantisedWeight& to_;
};

// Calls work(row, weights as f32) for all rows; panels on several threads.
template <class Work>
void for_rows(const TensorView& weight, Work work) {
  int64_t out = weight.extents[0];
  process_thread_pool().parallel_for(ceil_div(out, kPanelRows), 1, [&](int64_t begin, int64_t end) {
    int64_t first = begin * kPanelRows, last = std::min(out, end * kPanelRows);
    for (int64_t row = first; row < last; ++row) {
      Tensor values = make_f32(weight.slice(0, row, row + 1));
      work(row, values.as<float>());
    }
  });
}

}  // namespace

PanelSizes panel_sizes(const QuantSpec& spec, int64_t out, int64_t in) {
  if (!is_known(spec) || out < 1 || in < 1) {
    throw Error(ErrorCode::BadInput, "no such quantised weight")
        .got(to_string(spec) + " of " + std::to_string(out) + " x " + std::to_string(in))
        .accepted("u8 or u4, scale f32 or f16, axis 0, group 0, 32, 64 or 128");
  }
  int64_t step = spec.group ? spec.group : 32;
  PanelSizes sizes;
  sizes.inputs = checked_add<int64_t>(in, step - 1, "inputs of a weight") / step * step;
  sizes.panels = checked_add<int64_t>(out, kPanelRows - 1, "rows of a weight") / kPanelRows;
  sizes.units = sizes.inputs / kUnitInputs;
  sizes.group = spec.group ? spec.group : sizes.inputs;
  sizes.groups = sizes.inputs / sizes.group;
  return sizes;
}

Extents code_extents(const QuantSpec& spec, int64_t out, int64_t in) {
  PanelSizes sizes = panel_sizes(spec, out, in);
  if (spec.codes == DType::U8) return {sizes.panels, sizes.units, kPanelRows, kUnitInputs};
  return {sizes.panels, sizes.units / 2, kPanelRows, kUnitInputs, 2};
}

Extents scale_extents(const QuantSpec& spec, int64_t out, int64_t in) {
  PanelSizes sizes = panel_sizes(spec, out, in);
  return {sizes.panels, sizes.groups, kPanelRows};
}

int QuantisedWeight::code(const PanelSizes& sizes, int64_t row, int64_t input) const {
  int64_t index = code_index(codes.dtype, sizes, row, input);
  if (codes.dtype == DType::U8) return codes.as<const uint8_t>()[index];
  return codes.as<const uint8_t>()[index / 2] >> (index % 2 * 4) & 15;
}

double QuantisedWeight::scale(const PanelSizes& sizes, int64_t row, int64_t input) const {
  int64_t index = scale_index(sizes, row, input);
  if (scales.dtype == DType::F16) return to_float(scales.as<const f16_t>()[index]);
  return scales.as<const float>()[index];
}

int QuantisedWeight::zero(const PanelSizes& sizes, int64_t row, int64_t input) const {
  if (!zeros.defined()) return middle_code(codes.dtype);
  return zeros.as<const uint8_t>()[scale_index(sizes, row, input)];
}

OwnedQuantisedWeight round_to_nearest(const TensorView& weight, const QuantSpec& spec) {
  TENON_CHECK(weight.rank() == 2);
  int64_t out = weight.extents[0], in = weight.extents[1];
  PanelSizes sizes = panel_sizes(spec, out, in);
  OwnedQuantisedWeight result;
  result.codes = Tensor::make_zeros(spec.codes, code_extents(spec, out, in));
  result.scales = Tensor::make_zeros(spec.scales, scale_extents(spec, out, in));
  if (spec.zero_points) result.zeros = Tensor::make_zeros(DType::U8, scale_extents(spec, out, in));
  Rounding rounding(spec, sizes, result);
  for_rows(weight, [&](int64_t row, const float* values) { rounding.row(row, values, in); });
  return result;
}

QuantisationError measure_error(const TensorView& weight, const QuantSpec& spec,
                                const QuantisedWeight& quantised) {
  int64_t out = weight.extents[0], in = weight.extents[1];
  PanelSizes sizes = panel_sizes(spec, out, in);
  // By row, so that the sum does not depend on the number of threads.
  std::vector<double> squares(out, 0), errors(out, 0), largest(out, 0);
  for_rows(weight, [&](int64_t row, const float* values) {
    for (int64_t i = 0; i < in; ++i) {
      double value = values[i], error = std::fabs(quantised.value(sizes, row, i) - value);
      squares[row] += value * value;
      errors[row] += error * error;
      largest[row] = std::max(largest[row], error);
    }
  });
  QuantisationError result;
  double square = 0, error = 0;
  for (int64_t row = 0; row < out; ++row) {
    square += squares[row];
    error += errors[row];
    result.largest = std::max(result.largest, largest[row]);
  }
  result.relative_norm = square > 0 ? std::sqrt(error / square) : 0;
  return result;
}

}  // namespace tenon
