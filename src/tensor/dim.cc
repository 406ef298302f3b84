#include "tensor/dim.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/checked.h"
#include "base/error.h"

namespace tenon {

// op: 's' symbol, '+', '-', '*', '/' floor_div, '^' ceil_div, '<' min, '>' max.
struct Dim::Node {
  char op;
  std::string symbol;
  Dim a, b;
};

namespace {

int64_t apply(char op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case '+':
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case '-':
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case '*':
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case '<':
      return std::min(a, b);
    case '>':
      return std::max(a, b);
    default: {
      if (b <= 0) throw Error(ErrorCode::BadInput, "dimension divided by a number below 1");
      int64_t quotient = a / b, rest = a % b;
      if (op == '/') return quotient - (rest < 0 ? 1 : 0);
      return quotient + (rest > 0 ? 1 : 0);
    }
  }
  if (overflow) throw Error(ErrorCode::BadInput, "dimension overflows");
  return result;
}

const char* function_name(char op) {
  switch (op) {
    case '/':
      return "floor_div";
    case '^':
      return "ceil_div";
    case '<':
      return "min";
    case '>':
      return "max";
    default:
      return nullptr;
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}
  Dim parse_all() {
    Dim dim = expression(0);
    if (at_ != text_.size()) fail();
    return dim;
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorCode::BadInput, "not a dimension expression")
        .got(text_)
        .at("byte " + std::to_string(at_));
  }
  void skip_blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char c) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    skip_blanks();
    return true;
  }
  void need(char c) {
    if (!take(c)) fail();
  }
  Dim expression(int depth) {
    if (depth > 64) fail();
    skip_blanks();
    if (take('(')) {
      Dim a = expression(depth + 1);
      skip_blanks();
      if (at_ >= text_.size()) fail();
      char op = text_[at_++];
      Dim b = expression(depth + 1);
      need(')');
      if (op == '+') return a + b;
      if (op == '-') return a - b;
      if (op == '*') return a * b;
      fail();
    }
    if (at_ < text_.size() &&
        (std::isdigit(static_cast<unsigned char>(text_[at_])) || text_[at_] == '-')) {
      return number();
    }
    return name(depth);
  }
  Dim number() {
    size_t begin = at_;
    if (text_[at_] == '-') ++at_;
    while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_]))) ++at_;
    int64_t value = 0;
    auto result = std::from_chars(text_.data() + begin, text_.data() + at_, value);
    if (result.ec != std::errc() || result.ptr != text_.data() + at_) fail();
    return Dim(value);
  }
  Dim name(int depth) {
    size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) ||
                                  text_[at_] == '_' || text_[at_] == '.')) {
      ++at_;
    }
    std::string_view word = text_.substr(begin, at_ - begin);
    if (word.empty()) fail();
    if (!take('(')) return Dim::symbol(word);
    Dim a = expression(depth + 1);
    need(',');
    Dim b = expression(depth + 1);
    need(')');
    if (word == "floor_div") return floor_div(a, b);
    if (word == "ceil_div") return ceil_div(a, b);
    if (word == "min") return dim_min(a, b);
    if (word == "max") return dim_max(a, b);
    fail();
  }
  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

Dim Dim::symbol(std::string_view name) {
  Dim dim;
  dim.node_ = std::make_shared<const Node>(Node{'s', std::string(name), Dim(0), Dim(0)});
  return dim;
}

Dim Dim::parse(std::string_view text) {
  return Parser(text).parse_all();
}

Dim Dim::make(char op, const Dim& a, const Dim& b) {
  if (a.is_constant() && b.is_constant()) return Dim(apply(op, a.constant_, b.constant_));
  bool a_zero = a.is_constant() && a.constant_ == 0, b_zero = b.is_constant() && b.constant_ == 0;
  bool a_one = a.is_constant() && a.constant_ == 1, b_one = b.is_constant() && b.constant_ == 1;
  if (op == '+' && a_zero) return b;
  if ((op == '+' || op == '-') && b_zero) return a;
  if (op == '*' && (a_zero || b_zero)) return Dim(0);
  if (op == '*' && a_one) return b;
  if ((op == '*' || op == '/' || op == '^') && b_one) return a;
  if ((op == '<' || op == '>') && a == b) return a;
  Dim dim;
  dim.node_ = std::make_shared<const Node>(Node{op, {}, a, b});
  return dim;
}

Dim operator+(const Dim& a, const Dim& b) {
  return Dim::make('+', a, b);
}
Dim operator-(const Dim& a, const Dim& b) {
  return Dim::make('-', a, b);
}
Dim operator*(const Dim& a, const Dim& b) {
  return Dim::make('*', a, b);
}
Dim floor_div(const Dim& a, const Dim& b) {
  return Dim::make('/', a, b);
}
Dim ceil_div(const Dim& a, const Dim& b) {
  return Dim::make('^', a, b);
}
Dim dim_min(const Dim& a, const Dim& b) {
  return Dim::make('<', a, b);
}
Dim dim_max(const Dim& a, const Dim& b) {
  return Dim::make('>', a, b);
}

int64_t Dim::constant() const {
  TENON_CHECK(is_constant());
  return constant_;
}

std::optional<std::string> Dim::symbol_name() const {
  if (node_ && node_->op == 's') return node_->symbol;
  return std::nullopt;
}

int64_t Dim::evaluate(const SymbolValues& values) const {
  if (!node_) return constant_;
  if (node_->op == 's') {
    auto found = values.find(node_->symbol);
    if (found == values.end())
      throw Error(ErrorCode::BadInput, "symbol has no value").got(node_->symbol);
    return found->second;
  }
  return apply(node_->op, node_->a.evaluate(values), node_->b.evaluate(values));
}

void Dim::collect_symbols(std::vector<std::string>& names) const {
  if (!node_) return;
  if (node_->op != 's') {
    node_->a.collect_symbols(names);
    node_->b.collect_symbols(names);
  } else if (std::find(names.begin(), names.end(), node_->symbol) == names.end()) {
    names.push_back(node_->symbol);
  }
}

std::string Dim::to_string() const {
  if (!node_) return std::to_string(constant_);
  if (node_->op == 's') return node_->symbol;
  if (const char* function = function_name(node_->op)) {
    return std::string(function) + "(" + node_->a.to_string() + ", " + node_->b.to_string() + ")";
  }
  return "(" + node_->a.to_string() + " " + node_->op + " " + node_->b.to_string() + ")";
}

bool Dim::operator==(const Dim& other) const {
  if (!node_ || !other.node_) return !node_ && !other.node_ && constant_ == other.constant_;
  if (node_ == other.node_) return true;
  return node_->op == other.node_->op && node_->symbol == other.node_->symbol &&
         node_->a == other.node_->a && node_->b == other.node_->b;
}

std::string to_string(const Shape& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + shape[i].to_string();
  return out + "]";
}

Extents evaluate(const Shape& shape, const SymbolValues& values) {
  Extents extents;
  for (const Dim& dim : shape) extents.push_back(dim.evaluate(values));
  return extents;
}

Shape to_shape(const Extents& extents) {
  return Shape(extents.begin(), extents.end());
}

}  // namespace tenon
