#include "text/jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/format.h"
#include "text/jinja/print.h"

namespace tenon::text {
namespace {

[[noreturn]] void refuse(RenderState& state, std::string_view op, const Value& left,
                         const Value& right) {
  for (const Value* value : {&left, &right}) {
    if (value->is_undefined()) throw state.error(value->undefined_hint());
  }
  throw state.error("operator " + std::string(op) + " does not take a " +
                    std::string(type_name(left)) + " and a " + std::string(type_name(right)));
}

constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "//", "%", "**"};

int64_t checked(RenderState& state, bool overflows, int64_t result) {
  if (overflows) throw state.error("a whole number leaves 64 bits");
  return result;
}

int64_t int_power(RenderState& state, int64_t base, int64_t exponent) {
  int64_t result = 1;
  if (base == 0 || base == 1) return exponent == 0 ? 1 : base;
  for (int64_t i = 0; i < exponent; ++i) {
    state.work();
    bool overflows = __builtin_mul_overflow(result, base, &result);
    checked(state, overflows, result);
  }
  return result;
}

int64_t floor_divide(RenderState& state, int64_t left, int64_t right) {
  if (right == 0) throw state.error("division by zero");
  if (right == -1) {
    int64_t result;
    bool overflows = __builtin_sub_overflow(int64_t{0}, left, &result);
    return checked(state, overflows, result);
  }
  int64_t quotient = left / right;
  return quotient - (left % right != 0 && (left < 0) != (right < 0));
}

Value int_binary(RenderState& state, BinaryOp op, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflows = false;
  switch (op) {
    case BinaryOp::Add:
      overflows = __builtin_add_overflow(left, right, &result);
      break;
    case BinaryOp::Subtract:
      overflows = __builtin_sub_overflow(left, right, &result);
      break;
    case BinaryOp::Multiply:
      overflows = __builtin_mul_overflow(left, right, &result);
      break;
    case BinaryOp::FloorDivide:
      result = floor_divide(state, left, right);
      break;
    case BinaryOp::Modulo:
      result = right == -1 ? 0 : left - floor_divide(state, left, right) * right;
      break;
    case BinaryOp::Power:
      result = int_power(state, left, right);
      break;
    case BinaryOp::Divide:
      break;  // apply_number does it
  }
  return Value::of(checked(state, overflows, result));
}

Value float_binary(RenderState& state, BinaryOp op, double left, double right) {
  bool divides = op == BinaryOp::Divide || op == BinaryOp::FloorDivide || op == BinaryOp::Modulo;
  if (divides && right == 0) throw state.error("division by zero");
  switch (op) {
    case BinaryOp::Add:
      return Value::of(left + right);
    case BinaryOp::Subtract:
      return Value::of(left - right);
    case BinaryOp::Multiply:
      return Value::of(left * right);
    case BinaryOp::Divide:
      return Value::of(left / right);
    case BinaryOp::FloorDivide:
      return Value::of(std::floor(left / right));
    case BinaryOp::Modulo:
      return Value::of(left - std::floor(left / right) * right);
    case BinaryOp::Power:
      return Value::of(std::pow(left, right));
  }
  return Value();
}

Value repeat(RenderState& state, const Value& value, int64_t times) {
  times = std::max<int64_t>(times, 0);
  size_t size =
      value.is_string() ? value.bytes().size() : value.list().items.size() * sizeof(Value);
  int64_t total = 0;
  if (__builtin_mul_overflow(static_cast<int64_t>(size), times, &total)) total = INT64_MAX;
  state.check_room(total);
  state.work(total >> 5);
  if (size == 0) times = 0;
  if (value.is_string()) {
    MarkedText text;
    for (int64_t i = 0; i < times; ++i) text.append(value.text());
    return make_string(state, std::move(text));
  }
  Values items;
  for (int64_t i = 0; i < times; ++i) {
    items.insert(items.end(), value.list().items.begin(), value.list().items.end());
  }
  return make_list_of(state, std::move(items), static_cast<int>(value.list().form));
}

bool is_sequence(const Value& value) {
  return value.is_string() || (value.is_list() && value.list().form != ListObject::Form::Generator);
}

Value add_sequences(RenderState& state, const Value& left, const Value& right) {
  if (left.is_string()) {
    state.work_on_bytes(left.bytes().size() + right.bytes().size());
    state.check_room(static_cast<int64_t>(left.text().memory() + right.text().memory()));
    MarkedText text = left.text();
    text.append(right.text());
    return make_string(state, std::move(text));
  }
  Values items = left.list().items;
  items.insert(items.end(), right.list().items.begin(), right.list().items.end());
  return make_list_of(state, std::move(items), static_cast<int>(left.list().form));
}

bool equal_lists(const ListObject& left, const ListObject& right) {
  return left.form == right.form && left.items.size() == right.items.size() &&
         std::equal(left.items.begin(), left.items.end(), right.items.begin(), equal);
}

bool equal_dicts(const DictObject& left, const DictObject& right) {
  if (left.items.size() != right.items.size()) return false;
  return std::ranges::all_of(left.items, [&](const auto& item) {
    const Value* other = right.find(item.first);
    return other && equal(item.second, *other);
  });
}

}  // namespace

Value apply_binary(RenderState& state, BinaryOp op, const Value& left, const Value& right) {
  if (op == BinaryOp::Modulo && left.is_string()) return percent_format(state, left, right);
  if (left.is_number() && right.is_number()) {
    bool whole = left.is_integral() && right.is_integral() && op != BinaryOp::Divide &&
                 !(op == BinaryOp::Power && right.as_int() < 0);
    return whole ? int_binary(state, op, left.as_int(), right.as_int())
                 : float_binary(state, op, left.as_double(), right.as_double());
  }
  if (op == BinaryOp::Add && is_sequence(left) && is_sequence(right) &&
      type_name(left) == type_name(right)) {
    return add_sequences(state, left, right);
  }
  if (op == BinaryOp::Multiply && is_sequence(left) && right.is_integral()) {
    return repeat(state, left, right.as_int());
  }
  if (op == BinaryOp::Multiply && left.is_integral() && is_sequence(right)) {
    return repeat(state, right, left.as_int());
  }
  refuse(state, kSymbols[static_cast<int>(op)], left, right);
}

Value negate(RenderState& state, const Value& value) {
  if (value.is(Value::Kind::Float)) return Value::of(-value.as_double());
  if (!value.is_integral()) refuse(state, "-", Value::of(int64_t{0}), value);
  return int_binary(state, BinaryOp::Subtract, 0, value.as_int());
}

Value concatenate(RenderState& state, const Values& parts) {
  MarkedText text;
  for (const Value& part : parts) {
    MarkedText more = to_text(state, part);
    state.work_on_bytes(more.size());
    state.check_room(static_cast<int64_t>(text.memory() + more.memory()));
    text.append(more);
  }
  return make_string(state, std::move(text));
}

bool equal(const Value& left, const Value& right) {
  if (left.is_number() && right.is_number()) {
    if (left.is_integral() && right.is_integral()) return left.as_int() == right.as_int();
    return left.as_double() == right.as_double();
  }
  if (left.kind() != right.kind()) return false;
  if (left.is_list()) return equal_lists(left.list(), right.list());
  if (left.is_dict()) return equal_dicts(left.dict(), right.dict());
  return left.same_as(right);
}

bool less(RenderState& state, const Value& left, const Value& right) {
  state.work();
  if (left.is_integral() && right.is_integral()) return left.as_int() < right.as_int();
  if (left.is_number() && right.is_number()) return left.as_double() < right.as_double();
  if (left.is_string() && right.is_string()) return left.bytes() < right.bytes();
  if (!left.is_list() || !right.is_list()) refuse(state, "<", left, right);
  const Values &mine = left.list().items, &others = right.list().items;
  for (size_t i = 0; i < mine.size() && i < others.size(); ++i) {
    state.work(std::min(mine[i].weight(), others[i].weight()));
    if (!equal(mine[i], others[i])) return less(state, mine[i], others[i]);
  }
  return mine.size() < others.size();
}

bool contains(RenderState& state, const Value& container, const Value& item) {
  if (container.is_string()) {
    if (!item.is_string()) refuse(state, "in", item, container);
    state.work_on_bytes(container.bytes().size() * 8);
    return container.bytes().find(item.bytes()) != std::string::npos;
  }
  if (container.is_dict()) {
    state.work(1 + static_cast<int64_t>(container.dict().items.size() / 8));
    return container.dict().find(item) != nullptr;
  }
  if (container.is_undefined()) return false;
  if (!container.is_list()) refuse(state, "in", item, container);
  state.work(container.weight());
  Values items = to_items(state, container);
  return std::ranges::any_of(items, [&](const Value& other) { return equal(item, other); });
}

bool compare(RenderState& state, CompareOp op, const Value& left, const Value& right) {
  state.work(std::min(left.weight(), right.weight()));
  switch (op) {
    case CompareOp::Equal:
      return equal(left, right);
    case CompareOp::NotEqual:
      return !equal(left, right);
    case CompareOp::Less:
      return less(state, left, right);
    case CompareOp::LessEqual:
      return less(state, left, right) || equal(left, right);
    case CompareOp::Greater:
      return less(state, right, left);
    case CompareOp::GreaterEqual:
      return less(state, right, left) || equal(left, right);
    case CompareOp::In:
      return contains(state, right, left);
    case CompareOp::NotIn:
      return !contains(state, right, left);
  }
  return false;
}

}  // namespace tenon::text
