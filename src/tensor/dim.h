#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/extents.h"

namespace tenon {

// Values of symbols: "tokens" -> 17.
using SymbolValues = std::map<std::string, int64_t, std::less<>>;

// A dimension: a constant, a symbol ("tokens"), or an expression over them. Immutable and cheap to
// copy. Constants fold as expressions are built. Equality is structural.
class Dim {
 public:
  Dim(int64_t constant = 0) : constant_(constant) {}  // NOLINT: implicit on purpose
  static Dim symbol(std::string_view name);
  // Reads what to_string() writes: "(tokens + 1)", "ceil_div(n, 16)". Throws ErrorCode::BadInput.
  static Dim parse(std::string_view text);

  bool is_constant() const { return !node_; }
  int64_t constant() const;  // throws ErrorCode::Internal where it is none
  std::optional<std::string> symbol_name() const;

  // Throws ErrorCode::BadInput where a symbol has no value, a divisor is 0 or the result overflows.
  int64_t evaluate(const SymbolValues& values) const;
  void collect_symbols(std::vector<std::string>& names) const;
  std::string to_string() const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  friend Dim floor_div(const Dim& a, const Dim& b);
  friend Dim ceil_div(const Dim& a, const Dim& b);
  friend Dim dim_min(const Dim& a, const Dim& b);
  friend Dim dim_max(const Dim& a, const Dim& b);
  bool operator==(const Dim& other) const;

 private:
  struct Node;
  static Dim make(char op, const Dim& a, const Dim& b);
  int64_t constant_ = 0;
  std::shared_ptr<const Node> node_;
};

// The symbolic sizes of a value.
using Shape = std::vector<Dim>;
std::string to_string(const Shape& shape);  // "[tokens, 4096]"
Extents evaluate(const Shape& shape, const SymbolValues& values);
Shape to_shape(const Extents& extents);

}  // namespace tenon
