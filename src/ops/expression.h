#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::ops {

// The expression of a fused chain, as the attribute of `fused` writes it and as a program for a
// stack: each step pushes one value, after taking what it works on.
//   sum = product {(+ | -) product}     product = factor {(* | /) factor}
//   factor = x<index> | number | kind(sum) | (sum)      kind: of `unary`
struct Expression {
  enum class Op { Input, Number, Unary, Binary };
  struct Step {
    Op op = Op::Input;
    int index = 0;        // Input: which one; Unary, Binary: in kUnaryKinds, kBinaryKinds
    double number = 0.0;  // Number
    bool operator==(const Step&) const = default;
  };
  std::vector<Step> steps;
  int inputs = 0;  // x0 to x<inputs - 1>, each used
  int depth = 0;   // the most values on the stack at once

  // Throws ErrorCode::BadInput with the place of what is wrong, also for what is over the limits.
  static Expression parse(std::string_view text);
  // Numbers of operations only: a lone input has none.
  int operations() const;
  std::string to_string() const;

  // What one expression may hold: a kernel keeps all of it in registers or in the first-level
  // cache.
  static constexpr int kMostSteps = 64, kMostInputs = 8, kMostDepth = 12, kMostText = 4096;
};

}  // namespace tenon::ops
