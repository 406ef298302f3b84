#pragma once

#include <string>

#include "ops/op.h"

namespace tenon::ops {

// linear with a weight of 8 or 4 bits (tensor/formats/quantised_weight.h):
//   y = activation(x . W^T + bias) + residual,  W[o, i] = scales * (codes[o, i] - zeros)
// With x_codes "i8" each row of x is itself rounded to 8 bits first, in f32:
//   scale = max|x| / 127, code = x * (127 / max|x|) to the nearest integer, ties to even;
//   a row whose max|x| is below 2^-100 is all zeros, one that is not finite gives NaN.
// Then the sum over a group is one of integers:
//   sum of (codes of x) (codes - zero) = sum of (codes of x) codes - zero * sum of (codes of x).
// x [..., in], codes [panels, units, 32, 4] u8 or [panels, units / 2, 32, 4, 2] u4,
// scales and zeros [panels, groups, 32], bias [out], residual [..., out] -> y [..., out].
struct QuantisedLinear {
  static constexpr std::string_view kName = "quantised_linear";
  int64_t out = 0, in = 0;
  int64_t group = 0;    // inputs that share a scale: 0 (all), 32, 64 or 128
  std::string x_codes;  // "": x as it is, "i8": rounded row by row
  std::string activation;
  std::string dtype;  // of y; "" means x's

  template <class V>
  void visit(V&& v) {
    v("out", out);
    v("in", in);
    v("group", group);
    v("x_codes", x_codes);
    v("activation", activation);
    v("dtype", dtype);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<QuantisedLinear>({{"x"},
                                       {"codes"},
                                       {"scales"},
                                       {"zeros", PortKind::Optional},
                                       {"bias", PortKind::Optional},
                                       {"residual", PortKind::Optional}},
                                      {{"y"}},
                                      "y = activation(x . (scales (codes - zeros))^T + bias) "
                                      "+ residual");
  }

  // The spec that the attributes and the types of the components stand for.
  QuantSpec spec(DType codes, DType scales, bool has_zeros) const {
    QuantSpec spec;
    spec.codes = codes;
    spec.scales = scales;
    spec.group = group;
    spec.zero_points = has_zeros;
    return spec;
  }
};

// Rows of x smaller than this are zeros to x_codes "i8".
inline constexpr float kLeastRowMaximum = 0x1p-100f;
// Inputs of one row, so that a sum of products of codes fits 32 bits: 127 * 255 * 65536 < 2^31.
inline constexpr int64_t kMostQuantisedInputs = 65536;

}  // namespace tenon::ops
