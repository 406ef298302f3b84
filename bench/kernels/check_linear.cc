#include <cmath>
#include <optional>

#include "kernels/check.h"
#include "ops/kinds.h"
#include "ops/linear.h"

namespace tenon::bench {
namespace {

// x [m, k], weight [n, k]; a type that is absent leaves its operand out.
struct LinearCase {
  int64_t m = 1, n = 1, k = 1;
  DType x = DType::F32, weight = DType::F32, y = DType::F32;
  std::optional<DType> bias, residual;
  std::string activation;

  std::string name() const {
    return std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + " " +
           std::string(dtype_name(x)) + " " + std::string(dtype_name(weight)) + "->" +
           std::string(dtype_name(y)) + (bias ? " bias" : "") + (residual ? " residual " : " ") +
           activation;
  }
};

void check_case(Checker& checker, const LinearCase& c) {
  Tensor x = checker.random_floats(c.x, {c.m, c.k});
  Tensor weight =
      checker.random_floats(c.weight, {c.n, c.k}, 1 / std::sqrt(static_cast<double>(c.k)));
  Tensor bias, residual;
  std::vector<TensorView> inputs = {x.view(), weight.view(), {}, {}};
  if (c.bias) inputs[2] = (bias = checker.random_floats(*c.bias, {c.n})).view();
  if (c.residual) inputs[3] = (residual = checker.random_floats(*c.residual, {c.m, c.n})).view();
  ops::Attributes attributes =
      ops::to_attributes(ops::Linear{c.activation, std::string(dtype_name(c.y))});
  checker.check("linear", c.name(), attributes, inputs, c.y, {c.m, c.n}, 1e-5);
}

}  // namespace

void check_linear(Checker& checker) {
  constexpr DType kF32 = DType::F32, kBf16 = DType::BF16, kF16 = DType::F16;
  const int64_t shapes[][3] = {{1, 64, 64},   {1, 257, 4104}, {2, 8, 8},     {3, 129, 1024},
                               {5, 100, 344}, {8, 4096, 264}, {9, 33, 2048}, {16, 1000, 1032},
                               {1, 5, 11008}, {13, 17, 40},   {17, 65, 129}, {31, 200, 96},
                               {64, 96, 250}, {100, 77, 33},  {1, 37, 1027}};
  struct Types {
    DType x, weight, y;
    std::optional<DType> bias, residual;
  };
  const Types types[] = {{kBf16, kBf16, kBf16, {}, {}},       {kBf16, kBf16, kF32, {}, kF32},
                         {kF16, kF16, kF16, kF32, {}},        {kF16, kF16, kF32, kF32, kF32},
                         {kBf16, kBf16, kBf16, kBf16, kBf16}, {kF32, kF32, kF32, kF32, kF32},
                         {kF32, kBf16, kF32, {}, {}},         {kBf16, kF16, kF16, kF32, kBf16},
                         {kF32, kF32, kBf16, kBf16, {}}};
  for (const auto& [m, n, k] : shapes) {
    for (const Types& t : types) {
      check_case(checker, {m, n, k, t.x, t.weight, t.y, t.bias, t.residual, ""});
    }
  }
  for (std::string_view kind : ops::kUnaryKinds) {
    for (int64_t m : {1, 10, 40}) {
      check_case(checker, {m, 99, 256, kF16, kF16, kF16, kF32, {}, std::string(kind)});
      check_case(checker, {m, 64, 128, kF32, kF32, kF32, kF32, kF32, std::string(kind)});
    }
  }
}

}  // namespace tenon::bench
