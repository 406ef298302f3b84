#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "text/jinja/filters.h"
#include "text/jinja/format.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/strings.h"

namespace tenon::text {
namespace {

Value text_result(Call& call, MarkedText text) {
  return make_string(call.state, std::move(text));
}

template <Case wanted>
Value case_filter(Call& call) {
  Bound given(call, {});
  return text_result(call, with_case(call.state, self_text(call), wanted));
}

Value title_filter(Call& call) {
  Bound given(call, {});
  return text_result(call, jinja_title(call.state, self_text(call)));
}

Value trim_filter(Call& call) {
  Bound given(call, {"chars"});
  bool none = !given[0] || given[0]->is_none();
  std::string chars = given.string(0, "");
  return text_result(call, strip(call.state, self_text(call), none ? nullptr : &chars, Side::Both));
}

Value replace_filter(Call& call) {
  Bound given(call, {"old", "new", "count"}, 2);
  MarkedText by = to_text(call.state, *given[1]);
  return text_result(
      call, replace(call.state, self_text(call), given.string(0, ""), by, given.integer(2, -1)));
}

Value string_filter(Call& call) {
  Bound given(call, {});
  return text_result(call, self_text(call));
}

Value default_filter(Call& call) {
  Bound given(call, {"default_value", "boolean"});
  bool absent = call.self.is_undefined() || (given.flag(1, false) && !is_true(call.self));
  return absent ? given.get(0, make_string(call.state, "")) : call.self;
}

Value escape_filter(Call& call) {
  Bound given(call, {});
  MarkedText text = self_text(call);
  constexpr std::pair<std::string_view, std::string_view> kEscapes[] = {
      {"&", "&amp;"}, {">", "&gt;"}, {"<", "&lt;"}, {"'", "&#39;"}, {"\"", "&#34;"}};
  for (auto [from, to] : kEscapes) {
    text = replace(call.state, text, from, MarkedText(std::string(to), text.has_user()), -1);
  }
  return text_result(call, std::move(text));
}

// Jinja's indent: the lines after the first, or all, are moved in; blank ones only when asked.
Value indent_filter(Call& call) {
  Bound given(call, {"width", "first", "blank"});
  MarkedText space;
  if (given[0] && given[0]->is_string()) {
    space = given[0]->text();
  } else {
    int64_t width = std::max<int64_t>(given.integer(0, 4), 0);
    call.state.check_room(width);
    space = MarkedText(std::string(static_cast<size_t>(width), ' '));
  }
  MarkedText text = self_text(call);
  text.append("\n");
  std::vector<MarkedText> lines = split_lines(call.state, text, false);
  bool blank = given.flag(2, false);
  MarkedText out;
  for (size_t i = 0; i < lines.size(); ++i) {
    call.state.work_on_bytes(space.size() + lines[i].size());
    call.state.check_room(static_cast<int64_t>(out.memory() + space.memory()));
    if (i > 0) out.append("\n");
    bool moved = i == 0 ? given.flag(1, false) : blank || !lines[i].empty();
    if (moved) out.append(space);
    out.append(lines[i]);
  }
  return text_result(call, std::move(out));
}

Value wordcount_filter(Call& call) {
  Bound given(call, {});
  size_t count = split_words(call.state, self_text(call), -1, false).size();
  return Value::of(static_cast<int64_t>(count));
}

Value center_filter(Call& call) {
  Bound given(call, {"width"});
  Value text = make_string(call.state, self_text(call));
  Call method{call.state, "center", text, {Value::of(given.integer(0, 80))}, {}};
  return bound_method(call.state, text, "center").callable().call(method);
}

Value format_filter(Call& call) {
  if (!call.named.empty()) {
    throw call.state.error("format with named values is not supported", ErrorCode::Unsupported);
  }
  return percent_format(call.state, make_string(call.state, self_text(call)),
                        make_tuple(call.state, call.positional));
}

Value tojson_filter(Call& call) {
  Bound given(call, {"ensure_ascii", "indent", "separators", "sort_keys"});
  // Jinja's own tojson has `indent` first, transformers' `ensure_ascii`: a number means the former.
  JsonStyle style;
  const Value *ascii = given[0], *indent = given[1];
  if (ascii && ascii->is(Value::Kind::Int)) std::swap(ascii, indent);
  style.ascii = ascii && is_true(*ascii);
  if (indent && indent->is_integral()) {
    int64_t width = std::clamp<int64_t>(indent->as_int(), 0, 64);
    style.indent = std::string(static_cast<size_t>(width), ' ');
  } else if (indent && indent->is_string()) {
    style.indent = indent->bytes();
  }
  if (style.indent) style.item_separator = std::string(",");
  if (given[2] && given[2]->is_list()) {
    Values pair = to_items(call.state, *given[2]);
    if (pair.size() != 2) throw call.state.error("separators of tojson are two strings");
    style.item_separator = to_text(call.state, pair[0]).text();
    style.key_separator = to_text(call.state, pair[1]).text();
  }
  style.sort_keys = given.flag(3, false);
  return text_result(call, to_json_text(call.state, call.self, style));
}

// The number that a text spells, as Python's int() and float() read it.
std::optional<double> parse_number(const std::string& text) {
  size_t begin = text.find_first_not_of(" \t\n\r"), end = text.find_last_not_of(" \t\n\r");
  if (begin == text.npos) return std::nullopt;
  std::string digits = text.substr(begin, end - begin + 1);
  if (digits[0] == '+') digits.erase(0, 1);
  double number = 0;
  auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || stop != digits.data() + digits.size()) return std::nullopt;
  return number;
}

std::optional<int64_t> parse_int(const std::string& text, int base) {
  size_t begin = text.find_first_not_of(" \t\n\r"), end = text.find_last_not_of(" \t\n\r");
  if (begin == text.npos) return std::nullopt;
  std::string digits = text.substr(begin, end - begin + 1);
  if (digits[0] == '+') digits.erase(0, 1);
  size_t first = digits.starts_with('-') ? 1 : 0;
  char mark = base == 16 ? 'x' : base == 8 ? 'o' : base == 2 ? 'b' : '\0';
  if (digits.size() > first + 2 && digits[first] == '0' && (digits[first + 1] | 32) == mark)
    digits.erase(first, 2);
  int64_t number = 0;
  auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
  if (error != std::errc() || stop != digits.data() + digits.size()) return std::nullopt;
  return number;
}

Value whole_part(double number, Value otherwise) {
  bool fits = std::isfinite(number) && std::abs(number) < 9e18;
  return fits ? Value::of(static_cast<int64_t>(number)) : otherwise;
}

Value int_filter(Call& call) {
  Bound given(call, {"default", "base"});
  Value otherwise = given.get(0, Value::of(int64_t{0}));
  if (call.self.is_integral()) return Value::of(call.self.as_int());
  if (call.self.is_number()) return whole_part(call.self.as_double(), otherwise);
  if (!call.self.is_string()) return otherwise;
  auto base = static_cast<int>(std::clamp<int64_t>(given.integer(1, 10), 2, 36));
  if (auto whole = parse_int(call.self.bytes(), base)) return Value::of(*whole);
  auto number = parse_number(call.self.bytes());
  return number ? whole_part(*number, otherwise) : otherwise;
}

Value float_filter(Call& call) {
  Bound given(call, {"default"});
  if (call.self.is_number()) return Value::of(call.self.as_double());
  std::optional<double> number;
  if (call.self.is_string()) number = parse_number(call.self.bytes());
  return number ? Value::of(*number) : given.get(0, Value::of(0.0));
}

double checked_number(const Call& call) {
  if (call.self.is_number()) return call.self.as_double();
  if (call.self.is_undefined()) throw call.state.error(call.self.undefined_hint());
  throw call.state.error(std::string(call.name) + " takes a number")
      .got(std::string(type_name(call.self)));
}

Value abs_filter(Call& call) {
  Bound given(call, {});
  double number = checked_number(call);
  if (call.self.is_integral()) return number < 0 ? negate(call.state, call.self) : call.self;
  return Value::of(std::abs(number));
}

// To decimals as Python's round(): by the number's exact value, ties to even. A product with a
// power of ten would round twice.
double rounded(double number, int64_t decimals) {
  constexpr size_t kMostDigits = 400;  // of a double before the point, and 80 more
  char digits[kMostDigits + 300];
  if (!std::isfinite(number)) return number;
  auto [end, error] = std::to_chars(digits, digits + sizeof digits, number,
                                    std::chars_format::fixed, static_cast<int>(decimals));
  return parse_number(std::string(digits, end)).value_or(number);
}

Value round_filter(Call& call) {
  Bound given(call, {"precision", "method"});
  double number = checked_number(call);
  int64_t decimals = std::clamp<int64_t>(given.integer(0, 0), -300, 300);
  double scale = std::pow(10.0, static_cast<double>(decimals));
  std::string method = given.string(1, "common");
  if (method == "ceil") return Value::of(std::ceil(number * scale) / scale);
  if (method == "floor") return Value::of(std::floor(number * scale) / scale);
  if (method != "common") throw call.state.error("round takes common, ceil or floor").got(method);
  if (call.self.is_integral() && scale >= 1) return call.self;
  double result =
      decimals >= 0 ? rounded(number, decimals) : std::nearbyint(number * scale) / scale;
  return call.self.is_integral() ? Value::of(static_cast<int64_t>(result)) : Value::of(result);
}

Value length_filter(Call& call) {
  Bound given(call, {});
  return Value::of(length_of(call.state, call.self));
}

Value safe_filter(Call& call) {
  Bound given(call, {});
  return call.self;
}

constexpr NamedBuiltin kFilters[] = {
    {"upper", case_filter<Case::Upper>},
    {"lower", case_filter<Case::Lower>},
    {"capitalize", case_filter<Case::Capitalized>},
    {"title", title_filter},
    {"trim", trim_filter},
    {"replace", replace_filter},
    {"string", string_filter},
    {"safe", safe_filter},
    {"default", default_filter},
    {"d", default_filter},
    {"escape", escape_filter},
    {"e", escape_filter},
    {"forceescape", escape_filter},
    {"indent", indent_filter},
    {"wordcount", wordcount_filter},
    {"center", center_filter},
    {"format", format_filter},
    {"tojson", tojson_filter},
    {"int", int_filter},
    {"float", float_filter},
    {"abs", abs_filter},
    {"round", round_filter},
    {"length", length_filter},
    {"count", length_filter},
};

}  // namespace

std::span<const NamedBuiltin> text_filters() {
  return kFilters;
}

}  // namespace tenon::text
