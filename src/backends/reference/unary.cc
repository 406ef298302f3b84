#include "ops/unary.h"

#include <cmath>
#include <numbers>

#include "backends/reference/access.h"
#include "backends/reference/functions.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

double gelu_erf(double x) {
  return x * 0.5 * (1 + std::erf(x / std::numbers::sqrt2));
}

double gelu_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

double quick_gelu(double x) {
  return x * sigmoid(1.702 * x);
}

double silu(double x) {
  return x * sigmoid(x);
}

// A NaN stays a NaN: a comparison that drops it would hide a fault of the model.
double relu(double x) {
  return x < 0 ? 0 : x;
}

double tanh_of(double x) {
  return std::tanh(x);
}
double exp_of(double x) {
  return std::exp(x);
}
double negative(double x) {
  return -x;
}

void run(const ops::RunArgs& args) {
  UnaryFunction function = unary_function(ops::attributes_of<ops::Unary>(args).kind);
  Rows x(args.inputs[0]), y(args.outputs[0]);
  for (int64_t row = 0; row < x.count(); ++row) {
    for (int64_t i = 0; i < x.columns(); ++i) y.set(row, i, function(x.get(row, i)));
  }
}

}  // namespace

UnaryFunction unary_function(std::string_view kind) {
  if (kind == "gelu_erf") return gelu_erf;
  if (kind == "gelu_tanh") return gelu_tanh;
  if (kind == "quick_gelu") return quick_gelu;
  if (kind == "silu") return silu;
  if (kind == "relu") return relu;
  if (kind == "tanh") return tanh_of;
  if (kind == "sigmoid") return sigmoid;
  if (kind == "exp") return exp_of;
  if (kind == "neg") return negative;
  throw Error(ErrorCode::Unsupported, "unknown kind").at("unary").got(kind);
}

const ops::Implementation kUnary = {
    .name = "unary__reference",
    .op = ops::Unary::kName,
    .supports = [](const ops::OpDesc& desc) { return support_floats(desc, {0}, {0}); },
    .prepare = ops::prepare_attributes<ops::Unary>,
    .run = run,
};

}  // namespace tenon::reference
