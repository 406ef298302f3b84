#include "text/jinja/value.h"

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "base/text.h"
#include "text/jinja/operators.h"
#include "text/unicode.h"

namespace tenon::text {
namespace {

// Roles that templates put between the marks of a special token.
constexpr std::array<std::string_view, 10> kRoles = {
    "system",  "user",        "assistant", "tool",     "developer",
    "ipython", "observation", "function",  "document", "environment"};

constexpr size_t kObjectBytes = 64;

int depth_of(RenderState& state, int deepest) {
  if (deepest < kLimits.template_value_depth) return deepest + 1;
  throw state.error("lists and dicts nest too deeply")
      .accepted("at most " + std::to_string(kLimits.template_value_depth) + " levels");
}

// Lists that hold one list many times would make walks as long as 2^depth.
void check_weight(RenderState& state, int64_t weight) {
  if (weight <= kLimits.template_steps) return;
  throw state.error("a list or dict holds too many values")
      .accepted("at most " + std::to_string(kLimits.template_steps));
}

// Cuts between characters rely on valid UTF-8; what is none becomes U+FFFD, as tokenizers do.
std::string valid_text(const std::string& text) {
  if (is_valid_utf8(text)) return text;
  std::string valid;
  Utf8Assembler assembler(Utf8Assembler::Replacement::EachPart);
  for (char byte : text) assembler.push(static_cast<uint8_t>(byte), valid);
  assembler.finish(valid);
  return valid;
}

Value from_json_text(RenderState& state, const std::string& text, bool user) {
  state.work_on_bytes(text.size());
  return make_string(state, MarkedText(valid_text(text), user));
}

Value convert(RenderState& state, const data::Json& json, bool user);

Value convert_object(RenderState& state, const data::Json& json, bool user) {
  DictItems items;
  for (const auto& [key, value] : json.as_object("value")) {
    bool known = key == "role" && value.is_string() &&
                 std::ranges::count(kRoles, value.as_string("role")) > 0;
    items.emplace_back(from_json_text(state, key, user), convert(state, value, user && !known));
  }
  return make_dict(state, std::move(items));
}

Value convert(RenderState& state, const data::Json& json, bool user) {
  state.work();
  if (json.is_null()) return Value::none();
  if (json.is_bool()) return Value::of(json.as_bool("value"));
  if (json.is_int()) return Value::of(json.as_int("value"));
  if (json.is_number()) return Value::of(json.as_double("value"));
  if (json.is_string()) return from_json_text(state, json.as_string("value"), user);
  if (json.is_object()) return convert_object(state, json, user);
  Values items;
  for (const data::Json& item : json.as_array("value")) items.push_back(convert(state, item, user));
  return make_list(state, std::move(items));
}

}  // namespace

Value Value::undefined(std::string hint) {
  return Value(Data(Undefined{std::make_shared<const std::string>(std::move(hint))}));
}

Value Value::constant(std::string text) {
  return Value(Data(std::make_shared<const StringObject>(
      StringObject{MarkedText(std::move(text)), Charge(nullptr, 0)})));
}

const std::string& Value::undefined_hint() const {
  static const std::string kNothing = "a value is undefined";
  const auto& hint = std::get<Undefined>(data_).hint;
  return hint ? *hint : kNothing;
}

int64_t Value::as_int() const {
  return is(Kind::Bool) ? as_bool() : std::get<int64_t>(data_);
}

double Value::as_double() const {
  return is(Kind::Float) ? std::get<double>(data_) : static_cast<double>(as_int());
}

const MarkedText& Value::text() const {
  return std::get<std::shared_ptr<const StringObject>>(data_)->text;
}

const CallableObject& Value::callable() const {
  return *std::get<std::shared_ptr<const CallableObject>>(data_);
}

bool Value::same_as(const Value& other) const {
  if (kind() != other.kind()) return false;
  if (is_string()) return bytes() == other.bytes();
  if (is_undefined()) return true;
  if (is(Kind::Float)) return as_double() == other.as_double();
  return std::visit(
      [&](const auto& mine) {
        using T = std::decay_t<decltype(mine)>;
        if constexpr (std::is_same_v<T, Undefined>) {
          return true;
        } else {
          return mine == std::get<T>(other.data_);
        }
      },
      data_);
}

int Value::depth() const {
  return is_list() ? list().depth : is_dict() ? dict().depth : 0;
}

const Value* DictObject::find(const Value& key) const {
  for (const auto& [name, value] : items) {
    if (equal(name, key)) return &value;
  }
  return nullptr;
}

const Value* DictObject::find(std::string_view key) const {
  for (const auto& [name, value] : items) {
    if (name.is_string() && name.bytes() == key) return &value;
  }
  return nullptr;
}

int64_t Value::weight() const {
  return is_list() ? list().weight : is_dict() ? dict().weight : 1;
}

Value make_string(RenderState& state, MarkedText text) {
  size_t bytes = text.memory() + kObjectBytes;
  return Value(Value::Data(
      std::make_shared<const StringObject>(StringObject{std::move(text), Charge(&state, bytes)})));
}

Value make_string(RenderState& state, std::string_view text) {
  return make_string(state, MarkedText(std::string(text)));
}

Value make_list_of(RenderState& state, Values items, int form) {
  int deepest = 0;
  int64_t weight = 1;
  for (const Value& item : items) {
    deepest = std::max(deepest, item.depth());
    weight += item.weight();
    check_weight(state, weight);
  }
  state.work(1 + static_cast<int64_t>(items.size() / 4));
  size_t bytes = items.capacity() * sizeof(Value) + kObjectBytes;
  return Value(Value::Data(std::make_shared<const ListObject>(
      ListObject{std::move(items), static_cast<ListObject::Form>(form), depth_of(state, deepest),
                 weight, Charge(&state, bytes)})));
}

Value make_list(RenderState& state, Values items) {
  return make_list_of(state, std::move(items), static_cast<int>(ListObject::Form::List));
}
Value make_tuple(RenderState& state, Values items) {
  return make_list_of(state, std::move(items), static_cast<int>(ListObject::Form::Tuple));
}
Value make_generator(RenderState& state, Values items) {
  return make_list_of(state, std::move(items), static_cast<int>(ListObject::Form::Generator));
}

Value make_dict(RenderState& state, DictItems items) {
  int deepest = 0;
  int64_t weight = 1;
  DictItems kept;
  kept.reserve(items.size());
  for (auto& item : items) {
    if (item.first.is_list() || item.first.is_dict()) {
      throw state.error("a " + std::string(type_name(item.first)) + " cannot be a key");
    }
    deepest = std::max(deepest, item.second.depth());
    weight += 1 + item.second.weight();
    check_weight(state, weight);
    state.work(1 + static_cast<int64_t>(kept.size() / 8));
    auto same =
        std::ranges::find_if(kept, [&](auto& other) { return equal(other.first, item.first); });
    if (same == kept.end()) {
      kept.push_back(std::move(item));
    } else {
      same->second = std::move(item.second);
    }
  }
  size_t bytes = kept.capacity() * sizeof(kept[0]) + kObjectBytes;
  return Value(Value::Data(std::make_shared<const DictObject>(
      DictObject{std::move(kept), depth_of(state, deepest), weight, Charge(&state, bytes)})));
}

Value make_callable(RenderState& state, std::string name, std::function<Value(Call&)> call) {
  return Value(Value::Data(std::make_shared<const CallableObject>(
      CallableObject{std::move(name), std::move(call), Charge(&state, 2 * kObjectBytes)})));
}

Value from_json(RenderState& state, const data::Json& json) {
  return convert(state, json, true);
}
Value from_trusted_json(RenderState& state, const data::Json& json) {
  return convert(state, json, false);
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::Undefined:
      return "undefined value";
    case Value::Kind::None:
      return "None";
    case Value::Kind::Bool:
      return "bool object";
    case Value::Kind::Int:
      return "int object";
    case Value::Kind::Float:
      return "float object";
    case Value::Kind::String:
      return "str object";
    case Value::Kind::List:
      return value.list().form == ListObject::Form::Tuple ? "tuple object" : "list object";
    case Value::Kind::Dict:
      return "dict object";
    case Value::Kind::Namespace:
      return "namespace object";
    case Value::Kind::Loop:
      return "loop object";
    case Value::Kind::Callable:
      return "function object";
  }
  return "object";
}

bool is_true(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::Undefined:
    case Value::Kind::None:
      return false;
    case Value::Kind::Bool:
    case Value::Kind::Int:
    case Value::Kind::Float:
      return value.as_double() != 0;
    case Value::Kind::String:
      return !value.bytes().empty();
    case Value::Kind::List:
      return !value.list().items.empty() || value.list().form == ListObject::Form::Generator;
    case Value::Kind::Dict:
      return !value.dict().items.empty();
    default:
      return true;
  }
}

Values to_items(RenderState& state, const Value& value) {
  Values items;
  if (value.is_list()) {
    const ListObject& list = value.list();
    state.work(static_cast<int64_t>(list.items.size() / 4));
    if (list.form == ListObject::Form::Generator && std::exchange(list.consumed, true)) return {};
    return list.items;
  }
  if (value.is_dict()) {
    for (const auto& [key, ignored] : value.dict().items) items.push_back(key);
  } else if (value.is_string()) {
    const MarkedText& text = value.text();
    state.work(static_cast<int64_t>(text.size()));
    for (size_t begin = 0, end = 0; begin < text.size(); begin = end) {
      next_char(text.text(), end);
      items.push_back(make_string(state, text.part(begin, end)));
    }
  } else if (!value.is_undefined()) {
    throw state.error("a " + std::string(type_name(value)) + " cannot be walked through")
        .accepted("a list, dict or string");
  }
  return items;
}

int64_t length_of(RenderState& state, const Value& value) {
  if (value.is_undefined()) return 0;
  if (value.is_dict()) return static_cast<int64_t>(value.dict().items.size());
  if (value.is_list() && value.list().form != ListObject::Form::Generator) {
    return static_cast<int64_t>(value.list().items.size());
  }
  if (value.is_string()) {
    state.work_on_bytes(value.bytes().size());
    return std::ranges::count_if(value.bytes(),
                                 [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
  }
  bool generator = value.is_list();
  throw state
      .error("a " + std::string(generator ? "generator" : type_name(value)) + " has no length")
      .fix(generator ? "put |list before it" : "");
}

}  // namespace tenon::text
