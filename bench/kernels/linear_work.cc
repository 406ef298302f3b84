#include <cmath>

#include "kernels/work.h"
#include "ops/linear.h"

namespace tenon::bench {

// m rows through a weight [n, k]; the weights take turns, rows and results stay where the op before
// left them.
Work make_linear(Machine& machine, const Case& what) {
  int64_t m = what.size("m"), n = what.size("n"), k = what.size("k");
  DType dtype = float_type(what, "dtype", ""), y_type = float_type(what, "y", dtype_name(dtype));
  Work work;
  work.attributes =
      ops::to_attributes(ops::Linear{what.text("activation", ""), std::string(dtype_name(y_type))});
  TensorView x = work.keep(DeviceTensor::random(machine, dtype, {m, k}, 1)), bias, residual;
  if (what.fields.find("bias")) {
    bias = work.keep(DeviceTensor::random(machine, float_type(what, "bias", ""), {n}, 2));
  }
  if (what.fields.find("residual")) {
    residual =
        work.keep(DeviceTensor::random(machine, float_type(what, "residual", ""), {m, n}, 3));
  }
  TensorView y = keep_output(work, machine, y_type, {m, n});
  int64_t weight_bytes = dtype_bytes(dtype, n * k);
  for (int64_t i = 0; i < turns_of(machine, weight_bytes); ++i) {
    TensorView weight =
        work.keep(DeviceTensor::random(machine, dtype, {n, k}, static_cast<uint32_t>(10 + i),
                                       1.0f / std::sqrt(static_cast<float>(k))));
    work.turns.push_back({{x, weight, bias, residual}, {y}});
  }
  int64_t bytes = weight_bytes + x.bytes() + y.bytes();
  if (bias.defined()) bytes += bias.bytes();
  if (residual.defined()) bytes += residual.bytes();
  work.bytes = static_cast<double>(bytes);
  work.operations = 2.0 * static_cast<double>(m) * static_cast<double>(n * k);
  work.arithmetic = dtype;
  return work;
}

}  // namespace tenon::bench
