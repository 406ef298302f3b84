#pragma once

#include "tensor/tensor.h"
#include "tensor/value_type.h"

// The weight [out, in] of a linear in 8 or 4 bits: value = scale * (code - zero). Codes are
// unsigned. A QuantSpec says which: codes U8 or U4; one scale for each row (group 0) or for each
// `group` inputs of a row; zeros of their own, or the middle code for all.
//
// Rows lie in panels of 32, inputs in units of 4, both padded: what a vector of int8 dot products
// reads next is next in memory, whatever the number of rows of x.
//   U8: codes [panels, units, 32, 4]
//   U4: codes [panels, units / 2, 32, 4, 2]: a byte has the same place of two units, first one low
//   scales [panels, groups, 32] f32 or f16, zeros [panels, groups, 32] u8
namespace tenon {

inline constexpr int64_t kPanelRows = 32, kUnitInputs = 4;

struct PanelSizes {
  int64_t panels = 0, inputs = 0, units = 0, groups = 0;  // inputs: padded
  int64_t group = 0;                                      // inputs of one scale: all where 0 asked
};

// Throws ErrorCode::BadInput where the spec is none of the above or a size is not positive.
PanelSizes panel_sizes(const QuantSpec& spec, int64_t out, int64_t in);
Extents code_extents(const QuantSpec& spec, int64_t out, int64_t in);
Extents scale_extents(const QuantSpec& spec, int64_t out, int64_t in);  // of the zeros too

// The code that stands for 0 where there are no zeros of their own.
inline int middle_code(DType codes) {
  return codes == DType::U4 ? 8 : 128;
}
inline int largest_code(DType codes) {
  return codes == DType::U4 ? 15 : 255;
}

enum class QuantPart { Codes, Scales, Zeros };

// Borrowed; zeros are undefined where all rows have the middle.
struct QuantisedWeight {
  TensorView codes, scales, zeros;

  int code(const PanelSizes& sizes, int64_t row, int64_t input) const;
  double scale(const PanelSizes& sizes, int64_t row, int64_t input) const;
  int zero(const PanelSizes& sizes, int64_t row, int64_t input) const;
  double value(const PanelSizes& sizes, int64_t row, int64_t input) const {
    return scale(sizes, row, input) * (code(sizes, row, input) - zero(sizes, row, input));
  }
};

// The same with memory of its own; what is padding has scale 0.
struct OwnedQuantisedWeight {
  Tensor codes, scales, zeros;
  QuantisedWeight view() const { return {codes.view(), scales.view(), zeros.view()}; }
};

// Each weight [out, in] (any float type) to the nearest code. Throws ErrorCode::BadInput where one
// is not finite or needs a scale that the type of the scales does not hold.
OwnedQuantisedWeight round_to_nearest(const TensorView& weight, const QuantSpec& spec);

// What that costs, over all elements: as the relative norm and the largest error.
struct QuantisationError {
  double relative_norm = 0, largest = 0;
};
QuantisationError measure_error(const TensorView& weight, const QuantSpec& spec,
                                const QuantisedWeight& quantised);

}  // namespace tenon
