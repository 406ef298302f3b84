#include <algorithm>
#include <array>

#include "text/jinja/builtins.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/operators.h"

namespace tenon::text {
namespace {

// Jinja's, not ours.
constexpr std::array<std::string_view, 3> kRefusedFunctions = {"cycler", "joiner", "lipsum"};

}  // namespace

Value Interpreter::evaluate_optional(const ExprPtr& expr, const ScopePtr& scope) {
  return expr ? evaluate(*expr, scope) : Value::none();
}

Value Interpreter::evaluate(const Expr& expr, const ScopePtr& scope) {
  DepthGuard guard(state_);
  state_.work();
  auto operand = [&](size_t index) { return evaluate(*expr.operands[index], scope); };
  switch (expr.kind) {
    case Expr::Kind::Constant:
      return expr.constant;
    case Expr::Kind::Name:
      return look_up(expr, scope);
    case Expr::Kind::Attribute: {
      Value value = operand(0);
      state_.enter(expr.place);
      return get_attribute(state_, value, expr.name);
    }
    case Expr::Kind::Item: {
      Value value = operand(0), key = operand(1);
      state_.enter(expr.place);
      return get_item(state_, value, key);
    }
    case Expr::Kind::Call:
      return evaluate_call(expr, scope);
    case Expr::Kind::Filter:
    case Expr::Kind::Test:
      return evaluate_builtin(expr, scope);
    case Expr::Kind::Compare:
      return evaluate_compare(expr, scope);
    case Expr::Kind::Not:
      return Value::of(!is_true(operand(0)));
    case Expr::Kind::And:
    case Expr::Kind::Or:
      return evaluate_logic(expr, scope);
    case Expr::Kind::Binary: {
      Value left = operand(0), right = operand(1);
      state_.enter(expr.place);
      return apply_binary(state_, expr.binary, left, right);
    }
    case Expr::Kind::Negate: {
      Value value = operand(0);
      state_.enter(expr.place);
      return negate(state_, value);
    }
    case Expr::Kind::Plus:
      return operand(0);
    case Expr::Kind::Conditional:
      return evaluate_conditional(expr, scope);
    default:
      return evaluate_collection(expr, scope);
  }
}

Value Interpreter::look_up(const Expr& expr, const ScopePtr& scope) {
  if (const Value* value = scope->find(expr.name)) return *value;
  state_.enter(expr.place);
  if (expr.name == "namespace") {
    return make_callable(state_, expr.name, [this](Call& call) { return make_namespace(call); });
  }
  if (Builtin function = find_function(expr.name)) {
    return make_callable(state_, expr.name, [function, name = expr.name](Call& call) {
      call.name = name;
      return function(call);
    });
  }
  if (std::ranges::count(kRefusedFunctions, expr.name) > 0) {
    throw state_.error("function '" + expr.name + "' is not supported", ErrorCode::Unsupported);
  }
  return Value::undefined("'" + expr.name + "' is undefined");
}

void Interpreter::collect_arguments(const Expr& expr, const ScopePtr& scope, Call& call) {
  for (size_t i = 1; i < expr.operands.size(); ++i) {
    call.positional.push_back(evaluate(*expr.operands[i], scope));
  }
  for (const auto& [name, value] : expr.named) {
    call.named.emplace_back(name, evaluate(*value, scope));
  }
}

Value Interpreter::evaluate_call(const Expr& expr, const ScopePtr& scope, const Value* caller) {
  Value callee = evaluate(*expr.operands[0], scope);
  Call call{state_, "", {}, {}, {}};
  collect_arguments(expr, scope, call);
  if (caller) call.named.emplace_back("caller", *caller);
  state_.enter(expr.place);
  if (callee.is(Value::Kind::Callable)) return callee.callable().call(call);
  if (callee.is(Value::Kind::Loop) && callee.loop().recurse) return callee.loop().recurse(call);
  if (callee.is_undefined()) throw state_.error(callee.undefined_hint());
  throw state_.error("a " + std::string(type_name(callee)) + " cannot be called");
}

Value Interpreter::evaluate_builtin(const Expr& expr, const ScopePtr& scope) {
  bool filter = expr.kind == Expr::Kind::Filter;
  // The parser has made sure that it exists.
  Builtin builtin = filter ? find_filter(expr.name) : find_test(expr.name);
  Call call{state_, expr.name, {}, {}, {}};
  call.self = expr.operands[0] ? evaluate(*expr.operands[0], scope) : block_text_;
  collect_arguments(expr, scope, call);
  state_.enter(expr.place);
  state_.work();
  return builtin(call);
}

Value Interpreter::evaluate_compare(const Expr& expr, const ScopePtr& scope) {
  Value left = evaluate(*expr.operands[0], scope);
  for (size_t i = 0; i < expr.compares.size(); ++i) {
    Value right = evaluate(*expr.operands[i + 1], scope);
    state_.enter(expr.place);
    if (!compare(state_, expr.compares[i], left, right)) return Value::of(false);
    left = std::move(right);
  }
  return Value::of(true);
}

// As in Python the result is one of the operands.
Value Interpreter::evaluate_logic(const Expr& expr, const ScopePtr& scope) {
  Value value;
  for (const ExprPtr& operand : expr.operands) {
    value = evaluate(*operand, scope);
    if (is_true(value) == (expr.kind == Expr::Kind::Or)) break;
  }
  return value;
}

Value Interpreter::evaluate_conditional(const Expr& expr, const ScopePtr& scope) {
  if (is_true(evaluate(*expr.operands[1], scope))) return evaluate(*expr.operands[0], scope);
  if (expr.operands.size() == 3) return evaluate(*expr.operands[2], scope);
  return Value::undefined("an 'if' without 'else' was false");
}

Value Interpreter::evaluate_collection(const Expr& expr, const ScopePtr& scope) {
  Values values;
  for (const ExprPtr& operand : expr.operands) values.push_back(evaluate_optional(operand, scope));
  state_.enter(expr.place);
  switch (expr.kind) {
    case Expr::Kind::Tuple:
      return make_tuple(state_, std::move(values));
    case Expr::Kind::Concat:
      return concatenate(state_, values);
    case Expr::Kind::Slice:
      return slice(state_, values[0], values[1], values[2], values[3]);
    case Expr::Kind::Dict: {
      DictItems items;
      for (size_t i = 0; i + 1 < values.size(); i += 2)
        items.emplace_back(values[i], values[i + 1]);
      return make_dict(state_, std::move(items));
    }
    default:
      return make_list(state_, std::move(values));
  }
}

Value Interpreter::make_namespace(Call& call) {
  auto space = std::make_shared<NamespaceObject>(
      NamespaceObject{NamedValues{}, Charge(&state_, sizeof(NamespaceObject) + 8 * sizeof(Value))});
  namespaces_.push_back(space);
  if (call.positional.size() > 1) throw state_.error("namespace() takes one dict");
  if (!call.positional.empty()) {
    if (!call.positional[0].is_dict()) throw state_.error("namespace() takes a dict");
    for (const auto& [key, value] : call.positional[0].dict().items) {
      if (key.is_string()) space->attributes.emplace_back(key.bytes(), value);
    }
  }
  for (auto& attribute : call.named) space->attributes.push_back(std::move(attribute));
  return Value(space);
}

}  // namespace tenon::text
