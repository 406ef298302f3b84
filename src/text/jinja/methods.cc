#include <algorithm>
#include <initializer_list>
#include <span>

#include "text/jinja/builtins.h"
#include "text/jinja/format.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"
#include "text/unicode.h"

namespace tenon::text {
namespace {

Value stripped(Call& call, Side side) {
  Bound given(call, {"chars"});
  bool none = !given[0] || given[0]->is_none();
  std::string chars = given.string(0, "");
  return make_string(call.state,
                     strip(call.state, call.self.text(), none ? nullptr : &chars, side));
}

Value split_method(Call& call, bool from_right) {
  Bound given(call, {"sep", "maxsplit"});
  int64_t most = given.integer(1, -1);
  if (!given[0] || given[0]->is_none()) {
    return make_strings(call.state, split_words(call.state, call.self.text(), most, from_right));
  }
  return make_strings(
      call.state, split_at(call.state, call.self.text(), given.string(0, ""), most, from_right));
}

bool affix_matches(Call& call, const Value& wanted, bool at_start) {
  if (!wanted.is_string()) {
    throw call.state.error(std::string(call.name) + "() takes a string or a tuple of strings")
        .got(std::string(type_name(wanted)));
  }
  return at_start ? call.self.bytes().starts_with(wanted.bytes())
                  : call.self.bytes().ends_with(wanted.bytes());
}

Value affix_method(Call& call, bool at_start) {
  Bound given(call, {"affix"}, 1);
  if (!given[0]->is_list()) return Value::of(affix_matches(call, *given[0], at_start));
  for (const Value& wanted : given[0]->list().items) {
    if (affix_matches(call, wanted, at_start)) return Value::of(true);
  }
  return Value::of(false);
}

Value find_method(Call& call, bool from_right, bool must_be_there) {
  Bound given(call, {"sub"}, 1);
  call.state.work_on_bytes(call.self.bytes().size() * 8);
  std::string wanted = given.string(0, "");
  const std::string& bytes = call.self.bytes();
  size_t found = from_right ? bytes.rfind(wanted) : bytes.find(wanted);
  if (found == bytes.npos) {
    if (must_be_there) throw call.state.error("substring not found").got(wanted);
    return Value::of(int64_t{-1});
  }
  return Value::of(length_of(call.state, make_string(call.state, bytes.substr(0, found))));
}

Value partition_method(Call& call, bool from_right) {
  Bound given(call, {"sep"}, 1);
  std::string separator = given.string(0, "");
  const MarkedText& text = call.self.text();
  auto parts = split_at(call.state, text, separator, 1, from_right);
  MarkedText middle;
  if (parts.size() == 1) {
    parts.insert(from_right ? parts.begin() : parts.end(), MarkedText());
  } else {
    middle = text.part(parts[0].size(), parts[0].size() + separator.size());
  }
  Values three;
  for (MarkedText part : {parts[0], middle, parts[1]})
    three.push_back(make_string(call.state, part));
  return make_tuple(call.state, std::move(three));
}

Value padded(Call& call, bool left, bool right) {
  Bound given(call, {"width", "fillchar"}, 1);
  int64_t width = given.integer(0, 0);
  std::string fill = given.string(1, " ");
  int64_t missing = width - length_of(call.state, call.self);
  if (missing <= 0) return call.self;
  call.state.check_room(missing * static_cast<int64_t>(fill.size()));
  call.state.work(missing / 8);
  int64_t before = left && right ? missing / 2 + (missing & width & 1) : left ? missing : 0;
  MarkedText out;
  for (int64_t i = 0; i < before; ++i) out.append(fill);
  out.append(call.self.text());
  for (int64_t i = before; i < missing; ++i) out.append(fill);
  return make_string(call.state, std::move(out));
}

// Whether there is a character and all are of the kind.
template <class Test>
Value all_characters(Call& call, Test&& test) {
  Bound given(call, {});
  const std::string& bytes = call.self.bytes();
  call.state.work_on_bytes(bytes.size() * 16);
  for (size_t at = 0; at < bytes.size();) {
    if (!test(next_char(bytes, at))) return Value::of(false);
  }
  return Value::of(!bytes.empty());
}

bool is_letter(CodePoint c) {
  return char_class(c) == CharClass::Letter;
}

Value case_test(Call& call, bool upper) {
  Bound given(call, {});
  const MarkedText& text = call.self.text();
  MarkedText wanted = with_case(call.state, text, upper ? Case::Upper : Case::Lower);
  MarkedText other = with_case(call.state, text, upper ? Case::Lower : Case::Upper);
  return Value::of(wanted.text() == text.text() && other.text() != text.text());
}

template <Case wanted>
Value case_method(Call& call) {
  Bound given(call, {});
  return make_string(call.state, with_case(call.state, call.self.text(), wanted));
}

Value replace_method(Call& call) {
  Bound given(call, {"old", "new", "count"}, 2);
  if (!given[1]->is_string()) throw call.state.error("replace() takes strings");
  return make_string(call.state, replace(call.state, call.self.text(), given.string(0, ""),
                                         given[1]->text(), given.integer(2, -1)));
}

Value join_method(Call& call) {
  Bound given(call, {"iterable"}, 1);
  std::vector<MarkedText> parts;
  for (const Value& item : to_items(call.state, *given[0])) {
    if (!item.is_string()) {
      throw call.state.error("join() takes strings").got(std::string(type_name(item)));
    }
    parts.push_back(item.text());
  }
  return make_string(call.state, join(call.state, parts, call.self.text()));
}

Value count_method(Call& call) {
  Bound given(call, {"sub"}, 1);
  std::string wanted = given.string(0, "");
  if (wanted.empty()) return Value::of(length_of(call.state, call.self) + 1);
  auto parts = split_at(call.state, call.self.text(), wanted, -1, false);
  return Value::of(static_cast<int64_t>(parts.size()) - 1);
}

Value without_affix(Call& call, bool at_start) {
  Bound given(call, {"affix"}, 1);
  const MarkedText& text = call.self.text();
  if (!affix_matches(call, *given[0], at_start)) return call.self;
  size_t cut = given[0]->bytes().size();
  return make_string(call.state,
                     at_start ? text.part(cut, text.size()) : text.part(0, text.size() - cut));
}

Value lines_method(Call& call) {
  Bound given(call, {"keepends"});
  return make_strings(call.state, split_lines(call.state, call.self.text(), given.flag(0, false)));
}

Value zfill_method(Call& call) {
  Bound given(call, {"width"}, 1);
  bool sign = call.self.bytes().starts_with('-') || call.self.bytes().starts_with('+');
  int64_t missing = given.integer(0, 0) - length_of(call.state, call.self);
  if (missing <= 0) return call.self;
  call.state.check_room(missing);
  call.state.work_on_bytes(static_cast<size_t>(missing));
  MarkedText out = call.self.text().part(0, sign);
  out.append(std::string(static_cast<size_t>(missing), '0'));
  out.append(call.self.text().part(sign, call.self.text().size()));
  return make_string(call.state, std::move(out));
}

constexpr NamedBuiltin kStringMethods[] = {
    {"strip", [](Call& call) { return stripped(call, Side::Both); }},
    {"lstrip", [](Call& call) { return stripped(call, Side::Left); }},
    {"rstrip", [](Call& call) { return stripped(call, Side::Right); }},
    {"split", [](Call& call) { return split_method(call, false); }},
    {"rsplit", [](Call& call) { return split_method(call, true); }},
    {"splitlines", lines_method},
    {"startswith", [](Call& call) { return affix_method(call, true); }},
    {"endswith", [](Call& call) { return affix_method(call, false); }},
    {"removeprefix", [](Call& call) { return without_affix(call, true); }},
    {"removesuffix", [](Call& call) { return without_affix(call, false); }},
    {"find", [](Call& call) { return find_method(call, false, false); }},
    {"rfind", [](Call& call) { return find_method(call, true, false); }},
    {"index", [](Call& call) { return find_method(call, false, true); }},
    {"rindex", [](Call& call) { return find_method(call, true, true); }},
    {"partition", [](Call& call) { return partition_method(call, false); }},
    {"rpartition", [](Call& call) { return partition_method(call, true); }},
    {"ljust", [](Call& call) { return padded(call, false, true); }},
    {"rjust", [](Call& call) { return padded(call, true, false); }},
    {"center", [](Call& call) { return padded(call, true, true); }},
    {"zfill", zfill_method},
    {"upper", case_method<Case::Upper>},
    {"lower", case_method<Case::Lower>},
    {"casefold", case_method<Case::Lower>},
    {"title", case_method<Case::Title>},
    {"capitalize", case_method<Case::Capitalized>},
    {"swapcase", case_method<Case::Swapped>},
    {"replace", replace_method},
    {"join", join_method},
    {"count", count_method},
    {"format", brace_format},
    {"isdigit", [](Call& call) { return all_characters(call, is_number); }},
    {"isdecimal", [](Call& call) { return all_characters(call, is_number); }},
    {"isnumeric", [](Call& call) { return all_characters(call, is_number); }},
    {"isalpha", [](Call& call) { return all_characters(call, is_letter); }},
    {"isalnum",
     [](Call& call) {
       return all_characters(call, [](CodePoint c) { return is_letter(c) || is_number(c); });
     }},
    {"isspace", [](Call& call) { return all_characters(call, is_python_space); }},
    {"isupper", [](Call& call) { return case_test(call, true); }},
    {"islower", [](Call& call) { return case_test(call, false); }},
};

Value items_method(Call& call) {
  Bound given(call, {});
  Values pairs;
  for (const auto& [key, value] : call.self.dict().items) {
    pairs.push_back(make_tuple(call.state, {key, value}));
  }
  return make_list(call.state, std::move(pairs));
}

Value values_method(Call& call) {
  Bound given(call, {});
  Values values;
  for (const auto& [key, value] : call.self.dict().items) values.push_back(value);
  return make_list(call.state, std::move(values));
}

constexpr NamedBuiltin kDictMethods[] = {
    {"items", items_method},
    {"keys",
     [](Call& call) {
       Bound given(call, {});
       return make_list(call.state, to_items(call.state, call.self));
     }},
    {"values", values_method},
    {"get",
     [](Call& call) {
       Bound given(call, {"key", "default"}, 1);
       call.state.work(static_cast<int64_t>(call.self.dict().items.size() / 8));
       const Value* found = call.self.dict().find(*given[0]);
       return found ? *found : given.get(1, Value::none());
     }},
    {"copy",
     [](Call& call) {
       Bound given(call, {});
       return call.self;
     }},
};

Value list_position(Call& call) {
  Bound given(call, {"value"}, 1);
  const Values& items = call.self.list().items;
  auto found = std::ranges::find_if(items, [&](auto& item) { return equal(item, *given[0]); });
  call.state.work(call.self.weight());
  if (found == items.end()) throw call.state.error("the list does not have this value");
  return Value::of(static_cast<int64_t>(found - items.begin()));
}

Value list_count(Call& call) {
  Bound given(call, {"value"}, 1);
  const Values& items = call.self.list().items;
  call.state.work(call.self.weight());
  return Value::of(
      int64_t{std::ranges::count_if(items, [&](auto& item) { return equal(item, *given[0]); })});
}

constexpr NamedBuiltin kListMethods[] = {
    {"index", list_position},
    {"count", list_count},
    {"copy", [](Call& call) { return call.self; }},
};

Value loop_cycle(Call& call) {
  if (call.positional.empty()) throw call.state.error("loop.cycle() has nothing to choose from");
  return call.positional[call.self.loop().index % call.positional.size()];
}

Value loop_changed(Call& call) {
  LoopObject& loop = call.self.loop();
  Value now = make_tuple(call.state, call.positional);
  bool changed = !loop.asked_changed || !equal(loop.last_changed, now);
  loop.last_changed = now;
  loop.asked_changed = true;
  return Value::of(changed);
}

constexpr NamedBuiltin kLoopMethods[] = {{"cycle", loop_cycle}, {"changed", loop_changed}};

Value refuse_change(Call& call) {
  throw call.state
      .error("'" + std::string(call.name) + "' would change a value, which templates must not")
      .fix("use a namespace, or build a new value with +");
}
Value refuse_method(Call& call) {
  throw call.state.error("method '" + std::string(call.name) + "' is not supported",
                         ErrorCode::Unsupported);
}

// Python's, not ours.
constexpr NamedBuiltin kStringRefused[] = {
    {"encode", refuse_method},  {"expandtabs", refuse_method},   {"format_map", refuse_method},
    {"isascii", refuse_method}, {"isidentifier", refuse_method}, {"isprintable", refuse_method},
    {"istitle", refuse_method}, {"maketrans", refuse_method},    {"translate", refuse_method},
};
constexpr NamedBuiltin kDictRefused[] = {
    {"clear", refuse_change},      {"pop", refuse_change},    {"popitem", refuse_change},
    {"setdefault", refuse_change}, {"update", refuse_change}, {"fromkeys", refuse_method},
};
constexpr NamedBuiltin kListRefused[] = {
    {"append", refuse_change},  {"clear", refuse_change}, {"extend", refuse_change},
    {"insert", refuse_change},  {"pop", refuse_change},   {"remove", refuse_change},
    {"reverse", refuse_change}, {"sort", refuse_change},
};

const NamedBuiltin* find_in(std::initializer_list<std::span<const NamedBuiltin>> lists,
                            std::string_view name) {
  for (auto list : lists) {
    for (const NamedBuiltin& method : list) {
      if (method.name == name) return &method;
    }
  }
  return nullptr;
}

const NamedBuiltin* find_method(const Value& value, std::string_view name) {
  if (value.is_string()) return find_in({kStringMethods, kStringRefused}, name);
  if (value.is_dict()) return find_in({kDictMethods, kDictRefused}, name);
  if (value.is_list()) return find_in({kListMethods, kListRefused}, name);
  if (value.is(Value::Kind::Loop)) return find_in({kLoopMethods}, name);
  return nullptr;
}

}  // namespace

Value bound_method(RenderState& state, const Value& value, std::string_view name) {
  const NamedBuiltin* method = find_method(value, name);
  if (!method) return Value();
  return make_callable(state, std::string(name), [value, method](Call& call) {
    call.self = value;
    call.name = method->name;
    return method->call(call);
  });
}

}  // namespace tenon::text
