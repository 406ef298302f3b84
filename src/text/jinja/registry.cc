#include <algorithm>

#include "text/jinja/filters.h"
#include "text/jinja/format.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"

namespace tenon::text {
namespace {

using Kind = Value::Kind;

template <Kind kind>
Value kind_test(Call& call) {
  Bound given(call, {});
  return Value::of(call.self.is(kind));
}

template <CompareOp op>
Value compare_test(Call& call) {
  Bound given(call, {"other"}, 1);
  return Value::of(compare(call.state, op, call.self, *given[0]));
}

template <bool wanted>
Value bool_test(Call& call) {
  Bound given(call, {});
  return Value::of(call.self.is(Kind::Bool) && call.self.as_bool() == wanted);
}

// Whether self leaves `rest` when it is divided by `by`.
Value divides(Call& call, int64_t by, int64_t rest) {
  Value left = apply_binary(call.state, BinaryOp::Modulo, call.self, Value::of(by));
  return Value::of(equal(left, Value::of(rest)));
}

template <Case wanted>
Value case_test(Call& call) {
  Bound given(call, {});
  MarkedText text = self_text(call);
  MarkedText same = with_case(call.state, text, wanted);
  MarkedText other = with_case(call.state, text, wanted == Case::Upper ? Case::Lower : Case::Upper);
  return Value::of(same.text() == text.text() && other.text() != text.text());
}

Value defined_test(Call& call) {
  Bound given(call, {});
  return Value::of(!call.self.is_undefined());
}

bool can_be_walked(const Value& value) {
  return value.is_string() || value.is_list() || value.is_dict() || value.is_undefined();
}

constexpr NamedBuiltin kTests[] = {
    {"defined", defined_test},
    {"undefined", kind_test<Kind::Undefined>},
    {"none", kind_test<Kind::None>},
    {"string", kind_test<Kind::String>},
    {"boolean", kind_test<Kind::Bool>},
    {"integer", kind_test<Kind::Int>},
    {"float", kind_test<Kind::Float>},
    {"mapping", kind_test<Kind::Dict>},
    {"callable", kind_test<Kind::Callable>},
    {"number", [](Call& call) { return Value::of(call.self.is_number()); }},
    {"true", bool_test<true>},
    {"false", bool_test<false>},
    {"iterable", [](Call& call) { return Value::of(can_be_walked(call.self)); }},
    {"sequence",
     [](Call& call) {
       bool generator = call.self.is_list() && call.self.list().form == ListObject::Form::Generator;
       return Value::of(can_be_walked(call.self) && !generator);
     }},
    {"odd", [](Call& call) { return divides(call, 2, 1); }},
    {"even", [](Call& call) { return divides(call, 2, 0); }},
    {"divisibleby",
     [](Call& call) {
       Bound given(call, {"num"}, 1);
       return divides(call, given.integer(0, 1), 0);
     }},
    {"upper", case_test<Case::Upper>},
    {"lower", case_test<Case::Lower>},
    {"sameas",
     [](Call& call) {
       Bound given(call, {"other"}, 1);
       return Value::of(call.self.same_as(*given[0]));
     }},
    {"in",
     [](Call& call) {
       Bound given(call, {"seq"}, 1);
       return Value::of(contains(call.state, *given[0], call.self));
     }},
    {"filter",
     [](Call& call) {
       return Value::of(call.self.is_string() && find_filter(call.self.bytes()) != nullptr);
     }},
    {"test",
     [](Call& call) {
       return Value::of(call.self.is_string() && find_test(call.self.bytes()) != nullptr);
     }},
    {"eq", compare_test<CompareOp::Equal>},
    {"equalto", compare_test<CompareOp::Equal>},
    {"==", compare_test<CompareOp::Equal>},
    {"ne", compare_test<CompareOp::NotEqual>},
    {"!=", compare_test<CompareOp::NotEqual>},
    {"lt", compare_test<CompareOp::Less>},
    {"lessthan", compare_test<CompareOp::Less>},
    {"<", compare_test<CompareOp::Less>},
    {"le", compare_test<CompareOp::LessEqual>},
    {"<=", compare_test<CompareOp::LessEqual>},
    {"gt", compare_test<CompareOp::Greater>},
    {"greaterthan", compare_test<CompareOp::Greater>},
    {">", compare_test<CompareOp::Greater>},
    {"ge", compare_test<CompareOp::GreaterEqual>},
    {">=", compare_test<CompareOp::GreaterEqual>},
};

Value range_function(Call& call) {
  Bound given(call, {"start", "stop", "step"}, 1);
  int64_t begin = given[1] ? given.integer(0, 0) : 0;
  int64_t end = given[1] ? given.integer(1, 0) : given.integer(0, 0), step = given.integer(2, 1);
  if (step == 0) throw call.state.error("range() has a step of zero");
  constexpr int64_t kMost = 100'000;  // as Jinja's sandbox
  auto wide = static_cast<__int128>(step > 0 ? end : begin) - (step > 0 ? begin : end);
  __int128 by = step > 0 ? static_cast<__int128>(step) : -static_cast<__int128>(step);
  if ((wide + by - 1) / by > kMost) {
    throw call.state.error("range() is too long")
        .accepted("at most " + std::to_string(kMost) + " numbers");
  }
  Values numbers;
  call.state.work(static_cast<int64_t>(wide > 0 ? (wide + by - 1) / by : 0) / 4);
  for (__int128 i = begin; step > 0 ? i < end : i > end; i += step) {
    numbers.push_back(Value::of(static_cast<int64_t>(i)));
  }
  return make_list(call.state, std::move(numbers));
}

DictItems named_items(Call& call) {
  DictItems items;
  for (auto& [name, value] : call.named) items.emplace_back(make_string(call.state, name), value);
  return items;
}

Value dict_function(Call& call) {
  DictItems items;
  if (call.positional.size() > 1) throw call.state.error("dict() takes one dict");
  if (!call.positional.empty()) {
    if (!call.positional[0].is_dict()) throw call.state.error("dict() takes a dict");
    items = call.positional[0].dict().items;
  }
  for (auto& item : named_items(call)) items.push_back(std::move(item));
  return make_dict(call.state, std::move(items));
}

Value raise_function(Call& call) {
  Bound given(call, {"message"}, 1);
  std::string message = to_text(call.state, *given[0]).text();
  throw call.state.error("the template refuses this conversation: " + message);
}

Value strftime_function(Call& call) {
  Bound given(call, {"format"}, 1);
  return make_string(call.state, format_time(call.state, given.string(0, "")));
}

constexpr NamedBuiltin kFunctions[] = {
    {"range", range_function},
    {"dict", dict_function},
    {"raise_exception", raise_function},
    {"strftime_now", strftime_function},
};

Builtin find_in(std::initializer_list<std::span<const NamedBuiltin>> lists, std::string_view name) {
  for (auto list : lists) {
    for (const NamedBuiltin& entry : list) {
      if (entry.name == name) return entry.call;
    }
  }
  return nullptr;
}

std::vector<std::string> names_in(std::initializer_list<std::span<const NamedBuiltin>> lists) {
  std::vector<std::string> names;
  for (auto list : lists) {
    for (const NamedBuiltin& entry : list) names.emplace_back(entry.name);
  }
  return names;
}

}  // namespace

Builtin find_filter(std::string_view name) {
  return find_in({text_filters(), list_filters()}, name);
}
Builtin find_test(std::string_view name) {
  return find_in({kTests}, name);
}
Builtin find_function(std::string_view name) {
  return find_in({kFunctions}, name);
}
std::vector<std::string> filter_names() {
  return names_in({text_filters(), list_filters()});
}
std::vector<std::string> test_names() {
  return names_in({kTests});
}

}  // namespace tenon::text
