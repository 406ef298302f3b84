#pragma once

#include <compare>
#include <optional>
#include <string>

#include "text/jinja/value.h"

namespace tenon::text {

// Python's operators on values. What Python refuses throws ErrorCode::BadInput, naming the types.

enum class BinaryOp { Add, Subtract, Multiply, Divide, FloorDivide, Modulo, Power };
enum class CompareOp { Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, In, NotIn };

Value apply_binary(RenderState& state, BinaryOp op, const Value& left, const Value& right);
Value negate(RenderState& state, const Value& value);
// The parts' str() one after the other.
Value concatenate(RenderState& state, const Values& parts);

bool equal(const Value& left, const Value& right);
// Throws where the two have no order.
bool less(RenderState& state, const Value& left, const Value& right);
bool compare(RenderState& state, CompareOp op, const Value& left, const Value& right);
bool contains(RenderState& state, const Value& container, const Value& item);

// value[key]; undefined where there is none.
Value get_item(RenderState& state, const Value& value, const Value& key);
// value.name: a dict's method before its key, as Jinja does.
Value get_attribute(RenderState& state, const Value& value, std::string_view name);
// value[begin:end:step]; undefined or none: left out.
Value slice(RenderState& state, const Value& value, const Value& begin, const Value& end,
            const Value& step);

}  // namespace tenon::text
