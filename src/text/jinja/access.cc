#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/unicode.h"

namespace tenon::text {
namespace {

// The byte at which each character begins, and the end.
std::vector<size_t> character_starts(RenderState& state, const std::string& text) {
  state.work_on_bytes(text.size() * 16);
  state.check_room(static_cast<int64_t>(text.size() * sizeof(size_t)));
  std::vector<size_t> starts;
  for (size_t at = 0; at < text.size();) {
    starts.push_back(at);
    next_char(text, at);
  }
  starts.push_back(text.size());
  return starts;
}

[[noreturn]] void use_of_undefined(RenderState& state, const Value& value) {
  throw state.error(value.undefined_hint());
}

std::string missing(const Value& value, const std::string& name) {
  return "a " + std::string(type_name(value)) + " has no element '" + name + "'";
}

Value loop_attribute(RenderState& state, const Value& self, std::string_view name) {
  const LoopObject& loop = self.loop();
  auto index = static_cast<int64_t>(loop.index);
  auto length = static_cast<int64_t>(loop.items.size());
  if (name == "index") return Value::of(index + 1);
  if (name == "index0") return Value::of(index);
  if (name == "revindex") return Value::of(length - index);
  if (name == "revindex0") return Value::of(length - index - 1);
  if (name == "first") return Value::of(index == 0);
  if (name == "last") return Value::of(index + 1 == length);
  if (name == "length") return Value::of(length);
  if (name == "depth") return Value::of(loop.depth);
  if (name == "depth0") return Value::of(loop.depth - 1);
  if (name == "previtem" && index > 0) return loop.items[loop.index - 1];
  if (name == "nextitem" && index + 1 < length) return loop.items[loop.index + 1];
  if (name == "previtem") return Value::undefined("there is no previous item");
  if (name == "nextitem") return Value::undefined("there is no next item");
  if (Value method = bound_method(state, self, name); !method.is_undefined()) return method;
  return Value::undefined("loop has no attribute '" + std::string(name) + "'");
}

Value list_item(RenderState& state, const Value& value, const Value& key) {
  const ListObject& list = value.list();
  if (list.form == ListObject::Form::Generator) {
    throw state.error("a generator has no elements to choose from").fix("put |list before it");
  }
  auto size = static_cast<int64_t>(list.items.size());
  int64_t index = key.as_int() < 0 ? key.as_int() + size : key.as_int();
  if (index >= 0 && index < size) return list.items[static_cast<size_t>(index)];
  return Value::undefined(missing(value, std::to_string(key.as_int())));
}

Value string_item(RenderState& state, const Value& value, int64_t index) {
  int64_t size = length_of(state, value);
  if (index < 0) index += size;
  if (index < 0 || index >= size) return Value::undefined(missing(value, std::to_string(index)));
  size_t begin = 0, end = 0;
  for (int64_t i = 0; i <= index; ++i) {
    begin = end;
    next_char(value.bytes(), end);
  }
  state.work_on_bytes(end * 16);
  return make_string(state, value.text().part(begin, end));
}

// Python's slice.indices().
struct Range {
  int64_t begin, end, step;
};

int64_t clamp_index(RenderState& state, const Value& value, int64_t otherwise, int64_t size,
                    int64_t lowest, int64_t highest) {
  if (value.is_undefined() || value.is_none()) return otherwise;
  if (!value.is_integral()) throw state.error("a slice takes whole numbers");
  int64_t index = value.as_int() < 0 ? value.as_int() + size : value.as_int();
  return std::clamp(index, lowest, highest);
}

Range slice_range(RenderState& state, int64_t size, const Value& begin, const Value& end,
                  const Value& step) {
  int64_t by = clamp_index(state, step, 1, 0, INT32_MIN, INT32_MAX);
  if (by == 0) throw state.error("a slice's step is zero");
  int64_t lowest = by < 0 ? -1 : 0, highest = by < 0 ? size - 1 : size;
  int64_t first = clamp_index(state, begin, by < 0 ? highest : lowest, size, lowest, highest);
  int64_t last = clamp_index(state, end, by < 0 ? lowest : highest, size, lowest, highest);
  return {first, last, by};
}

Value slice_string(RenderState& state, const Value& value, const Range& range,
                   const std::vector<size_t>& starts) {
  const MarkedText& text = value.text();
  if (range.step == 1) {
    size_t begin = starts[static_cast<size_t>(range.begin)];
    size_t end = starts[static_cast<size_t>(std::max(range.begin, range.end))];
    return make_string(state, text.part(begin, end));
  }
  MarkedText cut;
  for (int64_t i = range.begin; range.step > 0 ? i < range.end : i > range.end; i += range.step) {
    state.work();
    cut.append(text.part(starts[static_cast<size_t>(i)], starts[static_cast<size_t>(i) + 1]));
  }
  return make_string(state, std::move(cut));
}

}  // namespace

Value get_attribute(RenderState& state, const Value& value, std::string_view name) {
  state.work();
  if (value.is_undefined()) use_of_undefined(state, value);
  if (value.is(Value::Kind::Loop)) return loop_attribute(state, value, name);
  if (value.is(Value::Kind::Namespace)) {
    for (const auto& [key, attribute] : value.name_space().attributes) {
      if (key == name) return attribute;
    }
  }
  if (Value method = bound_method(state, value, name); !method.is_undefined()) return method;
  if (value.is_dict()) {
    if (const Value* found = value.dict().find(name)) return *found;
  }
  return Value::undefined("a " + std::string(type_name(value)) + " has no attribute '" +
                          std::string(name) + "'");
}

Value get_item(RenderState& state, const Value& value, const Value& key) {
  state.work();
  if (value.is_undefined()) use_of_undefined(state, value);
  if (value.is_dict()) {
    state.work(static_cast<int64_t>(value.dict().items.size() / 8));
    if (const Value* found = value.dict().find(key)) return *found;
  } else if (key.is_integral() && value.is_list()) {
    return list_item(state, value, key);
  } else if (key.is_integral() && value.is_string()) {
    return string_item(state, value, key.as_int());
  }
  if (key.is_string()) return get_attribute(state, value, key.bytes());
  return Value::undefined(missing(value, to_text(state, key).text()));
}

Value slice(RenderState& state, const Value& value, const Value& begin, const Value& end,
            const Value& step) {
  if (value.is_undefined()) use_of_undefined(state, value);
  if (value.is_string()) {
    std::vector<size_t> starts = character_starts(state, value.bytes());
    auto size = static_cast<int64_t>(starts.size()) - 1;
    return slice_string(state, value, slice_range(state, size, begin, end, step), starts);
  }
  if (!value.is_list() || value.list().form == ListObject::Form::Generator) {
    throw state.error("a " + std::string(type_name(value)) + " cannot be sliced")
        .accepted("a list or string");
  }
  const Values& items = value.list().items;
  Range range = slice_range(state, static_cast<int64_t>(items.size()), begin, end, step);
  Values cut;
  for (int64_t i = range.begin; range.step > 0 ? i < range.end : i > range.end; i += range.step) {
    cut.push_back(items[static_cast<size_t>(i)]);
  }
  return make_list_of(state, std::move(cut), static_cast<int>(value.list().form));
}

}  // namespace tenon::text
