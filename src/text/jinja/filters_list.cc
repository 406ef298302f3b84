#include <algorithm>

#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"

namespace tenon::text {
namespace {

Value lowered(RenderState& state, const Value& value) {
  if (!value.is_string()) return value;
  return make_string(state, with_case(state, value.text(), Case::Lower));
}

// Items with what they are compared by: an attribute, without regard to case unless asked.
struct Keyed {
  Value key, item;
};
std::vector<Keyed> keyed_items(Call& call, const Value* attribute, bool case_sensitive) {
  std::vector<Keyed> keyed;
  for (const Value& item : to_items(call.state, call.self)) {
    bool plain = !attribute || attribute->is_none();
    Value key = plain ? item : get_path(call.state, item, *attribute);
    keyed.push_back({case_sensitive ? key : lowered(call.state, key), item});
  }
  return keyed;
}

Values items_of(std::vector<Keyed> keyed) {
  Values items;
  for (Keyed& entry : keyed) items.push_back(std::move(entry.item));
  return items;
}

Value sort_filter(Call& call) {
  Bound given(call, {"reverse", "case_sensitive", "attribute"});
  std::vector<Keyed> keyed = keyed_items(call, given[2], given.flag(1, false));
  bool reverse = given.flag(0, false);
  // Stable both ways, as Python's sort.
  std::ranges::stable_sort(keyed, [&](const Keyed& left, const Keyed& right) {
    return reverse ? less(call.state, right.key, left.key) : less(call.state, left.key, right.key);
  });
  return make_list(call.state, items_of(std::move(keyed)));
}

Value extreme(Call& call, bool largest) {
  Bound given(call, {"case_sensitive", "attribute"});
  std::vector<Keyed> keyed = keyed_items(call, given[1], given.flag(0, false));
  if (keyed.empty()) return Value::undefined("there is no item to choose from");
  const Keyed* best = &keyed[0];
  for (const Keyed& entry : keyed) {
    bool better =
        largest ? less(call.state, best->key, entry.key) : less(call.state, entry.key, best->key);
    if (better) best = &entry;
  }
  return best->item;
}

Value unique_filter(Call& call) {
  Bound given(call, {"case_sensitive", "attribute"});
  Values seen, kept;
  for (Keyed& entry : keyed_items(call, given[1], given.flag(0, false))) {
    for (const Value& other : seen) call.state.work(std::min(other.weight(), entry.key.weight()));
    if (std::ranges::any_of(seen, [&](auto& other) { return equal(other, entry.key); })) continue;
    seen.push_back(entry.key);
    kept.push_back(entry.item);
  }
  return make_generator(call.state, std::move(kept));
}

Value sum_filter(Call& call) {
  Bound given(call, {"attribute", "start"});
  Value sum = given.get(1, Value::of(int64_t{0}));
  for (const Keyed& entry : keyed_items(call, given[0], true)) {
    sum = apply_binary(call.state, BinaryOp::Add, sum, entry.key);
  }
  return sum;
}

Value join_filter(Call& call) {
  Bound given(call, {"d", "attribute"});
  std::vector<MarkedText> parts;
  for (const Keyed& entry : keyed_items(call, given[1], true)) {
    parts.push_back(to_text(call.state, entry.key));
  }
  MarkedText separator = given[0] ? to_text(call.state, *given[0]) : MarkedText();
  return make_string(call.state, join(call.state, parts, separator));
}

Value first_filter(Call& call) {
  Bound given(call, {});
  Values items = to_items(call.state, call.self);
  return items.empty() ? Value::undefined("there is no first item") : items.front();
}

Value last_filter(Call& call) {
  Bound given(call, {});
  Values items = to_items(call.state, call.self);
  return items.empty() ? Value::undefined("there is no last item") : items.back();
}

Value list_filter(Call& call) {
  Bound given(call, {});
  return make_list(call.state, to_items(call.state, call.self));
}

Value reverse_filter(Call& call) {
  Bound given(call, {});
  Values items = to_items(call.state, call.self);
  std::ranges::reverse(items);
  if (!call.self.is_string()) return make_generator(call.state, std::move(items));
  return concatenate(call.state, items);
}

Value items_filter(Call& call) {
  Bound given(call, {});
  if (call.self.is_undefined()) return make_generator(call.state, {});
  if (!call.self.is_dict()) {
    throw call.state.error("items takes a dict").got(std::string(type_name(call.self)));
  }
  Values pairs;
  for (const auto& [key, value] : call.self.dict().items) {
    pairs.push_back(make_tuple(call.state, {key, value}));
  }
  return make_generator(call.state, std::move(pairs));
}

Value dictsort_filter(Call& call) {
  Bound given(call, {"case_sensitive", "by", "reverse"});
  if (!call.self.is_dict()) {
    throw call.state.error("dictsort takes a dict").got(std::string(type_name(call.self)));
  }
  std::string by = given.string(1, "key");
  if (by != "key" && by != "value")
    throw call.state.error("dictsort sorts by key or value").got(by);
  DictItems items = call.self.dict().items;
  bool cased = given.flag(0, false), reverse = given.flag(2, false);
  auto key_of = [&](const auto& item) {
    const Value& key = by == "key" ? item.first : item.second;
    return cased ? key : lowered(call.state, key);
  };
  std::ranges::stable_sort(items, [&](const auto& left, const auto& right) {
    return reverse ? less(call.state, key_of(right), key_of(left))
                   : less(call.state, key_of(left), key_of(right));
  });
  Values pairs;
  for (auto& [key, value] : items) pairs.push_back(make_tuple(call.state, {key, value}));
  return make_list(call.state, std::move(pairs));
}

// The first positional argument names a filter or test; the others are its own.
Call inner_call(Call& call, size_t first) {
  Call inner{call.state, "", {}, {}, call.named};
  inner.positional.assign(call.positional.begin() + static_cast<std::ptrdiff_t>(first),
                          call.positional.end());
  return inner;
}

std::string argument_name(Call& call, size_t index) {
  if (index < call.positional.size() && call.positional[index].is_string()) {
    return call.positional[index].bytes();
  }
  throw call.state.error(std::string(call.name) + " lacks the name of what to apply");
}

Value map_attribute(Call& call) {
  Bound given(call, {"attribute", "default"}, 1);
  Values mapped;
  for (const Value& item : to_items(call.state, call.self)) {
    Value value = get_path(call.state, item, *given[0]);
    mapped.push_back(value.is_undefined() && given[1] ? *given[1] : value);
  }
  return make_generator(call.state, std::move(mapped));
}

Value map_filter(Call& call) {
  if (call.positional.empty()) return map_attribute(call);
  std::string name = argument_name(call, 0);
  Builtin filter = find_filter(name);
  if (!filter) {
    throw call.state.error("filter '" + name + "' is not supported", ErrorCode::Unsupported);
  }
  Values mapped;
  for (const Value& item : to_items(call.state, call.self)) {
    Call inner = inner_call(call, 1);
    inner.name = name;
    inner.self = item;
    mapped.push_back(filter(inner));
  }
  return make_generator(call.state, std::move(mapped));
}

// select, reject (by the item) and selectattr, rejectattr (by an attribute of it).
Value select_by(Call& call, bool by_attribute, bool wanted) {
  size_t at = by_attribute ? 1 : 0;
  if (by_attribute && call.positional.empty()) argument_name(call, 0);
  bool has_test = call.positional.size() > at;
  std::string name = has_test ? argument_name(call, at) : "";
  Builtin test = has_test ? find_test(name) : nullptr;
  if (has_test && !test) {
    throw call.state.error("test '" + name + "' is not supported", ErrorCode::Unsupported);
  }
  Values kept;
  for (const Value& item : to_items(call.state, call.self)) {
    Value subject = by_attribute ? get_path(call.state, item, call.positional[0]) : item;
    bool passes = is_true(subject);
    if (test) {
      Call inner = inner_call(call, at + 1);
      inner.name = name;
      inner.self = subject;
      passes = is_true(test(inner));
    }
    call.state.work();
    if (passes == wanted) kept.push_back(item);
  }
  return make_generator(call.state, std::move(kept));
}

Value batch_filter(Call& call) {
  Bound given(call, {"linecount", "fill_with"}, 1);
  int64_t size = given.integer(0, 0);
  if (size <= 0) throw call.state.error("batch takes a positive number");
  Values batches, batch;
  for (const Value& item : to_items(call.state, call.self)) {
    batch.push_back(item);
    if (static_cast<int64_t>(batch.size()) < size) continue;
    batches.push_back(make_list(call.state, std::exchange(batch, {})));
  }
  bool fill = given[1] && !given[1]->is_none();
  if (!batch.empty() && fill) {
    call.state.check_room(size > INT32_MAX ? INT64_MAX : size * int64_t{sizeof(Value)});
    batch.resize(static_cast<size_t>(size), *given[1]);
  }
  if (!batch.empty()) batches.push_back(make_list(call.state, std::move(batch)));
  return make_generator(call.state, std::move(batches));
}

constexpr NamedBuiltin kFilters[] = {
    {"sort", sort_filter},
    {"min", [](Call& call) { return extreme(call, false); }},
    {"max", [](Call& call) { return extreme(call, true); }},
    {"unique", unique_filter},
    {"sum", sum_filter},
    {"join", join_filter},
    {"first", first_filter},
    {"last", last_filter},
    {"list", list_filter},
    {"reverse", reverse_filter},
    {"items", items_filter},
    {"dictsort", dictsort_filter},
    {"map", map_filter},
    {"select", [](Call& call) { return select_by(call, false, true); }},
    {"reject", [](Call& call) { return select_by(call, false, false); }},
    {"selectattr", [](Call& call) { return select_by(call, true, true); }},
    {"rejectattr", [](Call& call) { return select_by(call, true, false); }},
    {"batch", batch_filter},
};

}  // namespace

std::span<const NamedBuiltin> list_filters() {
  return kFilters;
}

}  // namespace tenon::text
