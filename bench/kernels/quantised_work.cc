#include <random>

#include "base/error.h"
#include "kernels/work.h"
#include "ops/quantised_linear.h"
#include "tensor/formats/quantised_weight.h"

namespace tenon::bench {
namespace {

struct Format {
  QuantSpec spec;
  std::string x_codes;
};

// "w8a8", "w4a16", "w4a8", as `tenon build --quant` names them.
Format format_of(const Case& what) {
  std::string name = what.text("quant", "");
  if (name != "w8a8" && name != "w4a16" && name != "w4a8") {
    throw Error(ErrorCode::BadInput, "not a format of this benchmark")
        .at(what.op)
        .at("quant")
        .got(name)
        .accepted("w8a8, w4a16, w4a8");
  }
  Format format;
  bool four = name != "w8a8";
  format.spec.codes = four ? DType::U4 : DType::U8;
  format.spec.scales = four ? DType::F16 : DType::F32;
  format.spec.group = four ? what.size_or("group", 32) : 0;
  format.x_codes = name == "w4a16" ? "" : "i8";
  return format;
}

Tensor random_codes(DType dtype, const Extents& extents, uint64_t seed) {
  Tensor codes = Tensor::make(dtype, extents);
  std::mt19937_64 engine(seed);
  int64_t words = codes.view().bytes() / 8;  // panels are whole lines
  for (int64_t i = 0; i < words; ++i) codes.as<uint64_t>()[i] = engine();
  return codes;
}

}  // namespace

// m rows of x through a quantised weight [n, k]; the weights take turns.
Work make_quantised_linear(Machine& machine, const Case& what) {
  int64_t m = what.size("m"), n = what.size("n"), k = what.size("k");
  DType dtype = float_type(what, "dtype", "f32"), y_type = float_type(what, "y", "f32");
  Format format = format_of(what);
  Work work;
  ops::QuantisedLinear op{n,
                          k,
                          format.spec.group,
                          format.x_codes,
                          what.text("activation", ""),
                          std::string(dtype_name(y_type))};
  work.attributes = ops::to_attributes(op);
  TensorView x = work.keep(DeviceTensor::random(machine, dtype, {m, k}, 1));
  TensorView y = keep_output(work, machine, y_type, {m, n});
  Extents codes = code_extents(format.spec, n, k), scales = scale_extents(format.spec, n, k);
  int64_t bytes = dtype_bytes(format.spec.codes, codes.count()) +
                  dtype_bytes(format.spec.scales, scales.count());
  for (int64_t i = 0; i < turns_of(machine, bytes); ++i) {
    auto seed = static_cast<uint32_t>(10 + i);
    TensorView weight = work.keep(
        DeviceTensor::copy_of(machine, random_codes(format.spec.codes, codes, seed).view()));
    TensorView scale =
        work.keep(DeviceTensor::random(machine, format.spec.scales, scales, seed, 0.01f));
    work.turns.push_back({{x, weight, scale, {}, {}, {}}, {y}});
  }
  work.bytes = static_cast<double>(bytes + x.bytes() + y.bytes());
  work.operations = 2.0 * static_cast<double>(m) * static_cast<double>(n * k);
  work.arithmetic = format.x_codes.empty() ? DType::F32 : DType::I8;
  return work;
}

}  // namespace tenon::bench
