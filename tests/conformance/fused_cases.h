#pragma once

#include <string>
#include <vector>

#include "conformance.h"
#include "ops/fused.h"
#include "ops/kinds.h"

// The cases of `fused`, in a header: what they generate for GPUs is compiled for every architecture
// where there is a compiler, with or without a GPU.
namespace tenon::conformance {

struct FusedForm {
  std::string expression;
  std::vector<Extents> extents;
  std::vector<DType> types = {};  // F32 where it is shorter
  DType y = DType::F32;
  Layout layout = Layout::Contiguous;
  std::vector<Extents> buckets = {};
};

inline std::vector<FusedForm> fused_forms() {
  constexpr DType kF32 = DType::F32, kBf16 = DType::BF16, kF16 = DType::F16;
  std::vector<FusedForm> forms = {
      {"x0", {{5, 64}}, {kF16}, kBf16},
      {"x0 + x1", {{17, 64}, {17, 64}}},
      {"silu(x0) * x1 + x2", {{17, 64}, {17, 64}, {64}}, {kBf16, kBf16, kF32}, kBf16},
      {"silu(x0) * x1 + x2", {{17, 63}, {17, 63}, {63}}, {kF16, kF32, kBf16}, kF16},
      {"(x0 - x1) / x2", {{3, 1, 5}, {7, 1}, {1}}},
      {"(x0 - x1) / x2", {{2, 3, 64}, {3, 1}, {}}},
      {"x0 * x1 + x2", {{64}, {9, 1}, {9, 64}}, {kF32, kF32, kF32}, kF16},
      {"x0 * x0 * 0.044715 + x0 - 1.5", {{31, 33}}},
      {"relu(x0 + x1) * neg(x2 - x3) + sigmoid(x4) * (x5 - x6 / x7)",
       {{4, 40}, {40}, {4, 1}, {1}, {4, 40}, {40}, {4, 40}, {}}},
      {"(x0 + (x0 * (x0 - (x0 + (x0 * (x0 - (x0 + 0.5)))))))", {{3, 100}}},
      {"tanh(x0) * x1", {{0, 64}, {64}}},
      {"tanh(x0) * x1", {{1}, {1}}},
      {"tanh(x0) * x1", {{}, {}}},
      {"x0 * x1", {{600, 1024}, {600, 1024}}, {kBf16, kBf16}, kBf16},
      {"relu(x0 * x1)", {{5, 63}, {63}}, {kF32, kF32}, kF32, Layout::StridedRows},
      {"relu(x0 * x1)", {{5, 64}, {5, 64}}, {kBf16, kF16}, kF32, Layout::StridedRows},
      {"x0 + x1", {{3, 64}, {64}}, {}, kF32, Layout::Contiguous, {{16, 64}, {64}}},
  };
  for (std::string_view kind : ops::kUnaryKinds) {
    forms.push_back({std::string(kind) + "(x0) * x1", {{3, 72}, {72}}, {kF32, kBf16}, kF32});
  }
  return forms;
}

// How far f32 arithmetic may be from the exact result of each element.
Bounds fused_bounds(const Case& test_case, const Exact& exact);

inline std::vector<Case> fused_cases() {
  std::vector<Case> cases;
  for (const FusedForm& form : fused_forms()) {
    std::string name = std::string(dtype_name(form.y)) + " " + form.expression;
    for (size_t i = 0; i < form.extents.size(); ++i) {
      DType type = i < form.types.size() ? form.types[i] : DType::F32;
      name += " " + std::string(dtype_name(type)) + form.extents[i].to_string();
    }
    if (form.layout == Layout::StridedRows) name += " strided";
    Random random(name);
    ops::Fused op{form.expression, std::string(dtype_name(form.y))};
    Case result{name, ops::to_attributes(op), {}};
    for (size_t i = 0; i < form.extents.size(); ++i) {
      DType type = i < form.types.size() ? form.types[i] : DType::F32;
      // The last input divides where there is a division: it stays away from 0.
      bool last = i + 1 == form.extents.size() && i > 0;
      Fill fill{.spread = last ? 0.2 : 1.0, .offset = last ? 1.5 : 0.0, .layout = form.layout};
      Operand operand = random_floats(random, type, form.extents[i], fill);
      if (i < form.buckets.size()) operand = std::move(operand).in_bucket(form.buckets[i]);
      result.inputs.push_back(std::move(operand));
    }
    cases.push_back(std::move(result));
  }
  return cases;
}

}  // namespace tenon::conformance
