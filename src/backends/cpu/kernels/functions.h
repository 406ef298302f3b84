#pragma once

#include <iterator>
#include <string_view>

#include "backends/cpu/isa.h"
#include "ops/kinds.h"

namespace tenon::cpu {

// The kernel's enumerator of a kind that the op has accepted; "" is None.
inline Activation activation_of(std::string_view kind) {
  for (size_t i = 0; i < std::size(ops::kUnaryKinds); ++i) {
    if (ops::kUnaryKinds[i] == kind) return static_cast<Activation>(i + 1);
  }
  return Activation::None;
}

inline bool has_activation(std::string_view kind) {
  return kind.empty() || activation_of(kind) != Activation::None;
}

}  // namespace tenon::cpu
