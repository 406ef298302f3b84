#include "ops/expression.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

#include "base/error.h"
#include "base/text.h"
#include "ops/kinds.h"

namespace tenon::ops {
namespace {

using Op = Expression::Op;
using Step = Expression::Step;

constexpr std::string_view kOperators = "+-*/";  // in the order of kBinaryKinds

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Expression parse() {
    if (std::ssize(text_) > Expression::kMostText) fail("expression is too long");
    sum();
    skip_spaces();
    if (at_ != text_.size()) fail("expected an operator or the end");
    check_inputs();
    return std::move(result_);
  }

 private:
  [[noreturn]] void fail(std::string_view problem) const {
    throw Error(ErrorCode::BadInput, problem)
        .at("expression")
        .at("character " + std::to_string(at_))
        .got(text_.substr(std::min(at_, text_.size()), 16));
  }
  char next() {
    skip_spaces();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  void expect(char wanted) {
    if (next() != wanted) fail(std::string("expected ") + wanted);
    ++at_;
  }

  void push(const Step& step, int takes) {
    if (std::ssize(result_.steps) == Expression::kMostSteps) fail("expression has too many steps");
    result_.steps.push_back(step);
    stack_ += 1 - takes;
    result_.depth = std::max(result_.depth, stack_);
    if (stack_ > Expression::kMostDepth) fail("expression is too deep");
  }

  // `level` 0: + and -; 1: * and /.
  void operations(int level) {
    level == 1 ? factor() : operations(1);
    while (true) {
      size_t index = kOperators.find(next());
      if (next() == '\0' || index == kOperators.npos || index / 2 != static_cast<size_t>(level)) {
        return;
      }
      ++at_;
      level == 1 ? factor() : operations(1);
      push({Op::Binary, static_cast<int>(index), 0.0}, 2);
    }
  }
  void sum() {
    if (++nesting_ > 2 * Expression::kMostSteps) fail("expression is nested too deep");
    operations(0);
    --nesting_;
  }

  void factor() {
    char c = next();
    if (c == '(') {
      expect('(');
      sum();
      expect(')');
    } else if (is_letter(c)) {
      name();
    } else if (is_digit(c) || c == '-' || c == '.') {
      number();
    } else {
      fail("expected an input, a number, a function or a bracket");
    }
  }

  void number() {
    double value = 0;
    auto [end, status] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (status != std::errc() || !std::isfinite(static_cast<float>(value))) {
      fail("expected a finite number");
    }
    at_ = end - text_.data();
    push({Op::Number, 0, value}, 0);
  }

  void name() {
    size_t begin = at_;
    while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) ++at_;
    std::string_view word = text_.substr(begin, at_ - begin);
    if (next() != '(') {
      input(word, begin);
      return;
    }
    const auto* kind = std::find(std::begin(kUnaryKinds), std::end(kUnaryKinds), word);
    if (kind == std::end(kUnaryKinds)) {
      at_ = begin;
      fail("unknown function");
    }
    expect('(');
    sum();
    expect(')');
    push({Op::Unary, static_cast<int>(kind - std::begin(kUnaryKinds)), 0.0}, 1);
  }

  void input(std::string_view word, size_t begin) {
    int index = -1;
    auto [end, status] = std::from_chars(word.data() + 1, word.data() + word.size(), index);
    bool whole = status == std::errc() && end == word.data() + word.size();
    if (word[0] != 'x' || !whole || index < 0 || index >= Expression::kMostInputs) {
      at_ = begin;
      fail("unknown name; inputs are x0 to x" + std::to_string(Expression::kMostInputs - 1));
    }
    result_.inputs = std::max(result_.inputs, index + 1);
    push({Op::Input, index, 0.0}, 0);
  }

  void check_inputs() const {
    for (int i = 0; i < result_.inputs; ++i) {
      auto reads = [i](const Step& step) { return step.op == Op::Input && step.index == i; };
      if (std::any_of(result_.steps.begin(), result_.steps.end(), reads)) continue;
      throw Error(ErrorCode::BadInput, "expression leaves an input unused")
          .at("expression")
          .got("no x" + std::to_string(i));
    }
    if (result_.inputs == 0) {
      throw Error(ErrorCode::BadInput, "expression reads no input").at("expression");
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  Expression result_;
  int stack_ = 0, nesting_ = 0;
};

}  // namespace

Expression Expression::parse(std::string_view text) {
  return Parser(text).parse();
}

int Expression::operations() const {
  return static_cast<int>(std::count_if(steps.begin(), steps.end(), [](const Step& step) {
    return step.op == Op::Unary || step.op == Op::Binary;
  }));
}

std::string Expression::to_string() const {
  struct Piece {
    std::string text;
    bool bare;  // an operation without brackets
  };
  std::vector<Piece> stack;
  for (const Step& step : steps) {
    auto take = [&] {
      Piece piece = std::move(stack.back());
      stack.pop_back();
      return piece;
    };
    auto operand = [](const Piece& piece) {
      return piece.bare ? "(" + piece.text + ")" : piece.text;
    };
    if (step.op == Op::Input) {
      stack.push_back({"x" + std::to_string(step.index), false});
    } else if (step.op == Op::Number) {
      stack.push_back({format_double(step.number), false});
    } else if (step.op == Op::Unary) {
      stack.push_back({std::string(kUnaryKinds[step.index]) + "(" + take().text + ")", false});
    } else {
      Piece right = take(), left = take();
      stack.push_back({operand(left) + " " + kOperators[step.index] + " " + operand(right), true});
    }
  }
  return stack.at(0).text;
}

}  // namespace tenon::ops
