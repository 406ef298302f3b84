#include "text/jinja/format.h"

#include <cmath>
#include <cstdio>
#include <ctime>

#include "text/jinja/print.h"

namespace tenon::text {
namespace {

constexpr int64_t kMostWidth = 1000;

struct Directive {
  std::string flags;
  int64_t width = 0, precision = -1;
  char kind = 0;
};

int64_t read_number(RenderState& state, const std::string& text, size_t& at) {
  int64_t number = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    number = number * 10 + (text[at] - '0');
    if (number > kMostWidth) throw state.error("a format's width is too large");
  }
  return number;
}

// `at` stands behind the '%', and after it behind the directive.
Directive read_directive(RenderState& state, const std::string& text, size_t& at) {
  Directive directive;
  while (at < text.size() && std::string_view("-+ 0#").find(text[at]) != std::string::npos) {
    directive.flags += text[at++];
  }
  directive.width = read_number(state, text, at);
  if (at < text.size() && text[at] == '.') directive.precision = read_number(state, text, ++at);
  if (at == text.size()) throw state.error("a format ends within a directive");
  directive.kind = text[at++];
  return directive;
}

std::string number_text(RenderState& state, const Directive& directive, const Value& value) {
  if (!value.is_number()) {
    throw state.error("%" + std::string(1, directive.kind) + " takes a number")
        .got(std::string(type_name(value)));
  }
  std::string form = "%" + directive.flags + std::to_string(directive.width);
  bool whole = directive.kind == 'd' || directive.kind == 'i' || directive.kind == 'x';
  if (directive.precision >= 0 && !whole) form += "." + std::to_string(directive.precision);
  // The largest double has 309 digits before its point.
  char buffer[3 * kMostWidth];
  int size = 0;
  if (whole && value.is_integral()) {
    form += directive.kind == 'x' ? "llx" : "lld";
    size =
        std::snprintf(buffer, sizeof buffer, form.c_str(), static_cast<long long>(value.as_int()));
  } else {
    form += whole ? ".0f" : std::string(1, directive.kind);
    double number = whole ? std::trunc(value.as_double()) : value.as_double();
    size = std::snprintf(buffer, sizeof buffer, form.c_str(), number);
  }
  return std::string(buffer, static_cast<size_t>(size));
}

MarkedText directive_text(RenderState& state, const Directive& directive, const Value& value) {
  constexpr std::string_view kNumbers = "dixfFeEgG";
  if (kNumbers.find(directive.kind) != kNumbers.npos) {
    return MarkedText(number_text(state, directive, value));
  }
  if (directive.kind != 's' && directive.kind != 'r') {
    throw state.error("format %" + std::string(1, directive.kind) + " is not supported",
                      ErrorCode::Unsupported);
  }
  MarkedText text = directive.kind == 's' ? to_text(state, value) : to_repr(state, value);
  if (directive.precision >= 0) {
    Value cut = make_string(state, text);
    if (length_of(state, cut) > directive.precision) {
      throw state.error("format %.Ns is not supported", ErrorCode::Unsupported);
    }
  }
  int64_t length = length_of(state, make_string(state, text));
  std::string space(static_cast<size_t>(std::max<int64_t>(directive.width - length, 0)), ' ');
  MarkedText padded;
  bool left = directive.flags.find('-') != std::string::npos;
  if (!left) padded.append(space);
  padded.append(text);
  if (left) padded.append(space);
  return padded;
}

}  // namespace

Value percent_format(RenderState& state, const Value& format, const Value& values) {
  bool tuple = values.is_list() && values.list().form == ListObject::Form::Tuple;
  Values given = tuple ? values.list().items : Values{values};
  const MarkedText& text = format.text();
  MarkedText out;
  size_t used = 0, done = 0;
  for (size_t at = text.text().find('%'); at != std::string::npos; at = text.text().find('%', at)) {
    out.append(text.part(done, at++));
    Directive directive = read_directive(state, text.text(), at);
    done = at;
    if (directive.kind == '%') {
      out.append("%");
      continue;
    }
    if (used == given.size()) throw state.error("a format has more directives than values");
    MarkedText part = directive_text(state, directive, given[used++]);
    state.check_room(static_cast<int64_t>(out.memory() + part.memory()));
    state.work_on_bytes(part.size());
    out.append(part);
  }
  if (used < given.size() && !(given.size() == 1 && given[0].is_dict())) {
    throw state.error("a format has fewer directives than values");
  }
  out.append(text.part(done, text.size()));
  return make_string(state, std::move(out));
}

namespace {

Value field_value(Call& call, const std::string& field, size_t& next) {
  if (field.find_first_of(".[!:") != std::string::npos) {
    throw call.state
        .error("a field of format() with '.', '[', '!' or ':' is not supported",
               ErrorCode::Unsupported)
        .got(field);
  }
  bool digits = field.find_first_not_of("0123456789") == std::string::npos;
  if (digits) {
    size_t index = field.empty() ? next++ : field.size() > 4 ? SIZE_MAX : std::stoul(field);
    if (index < call.positional.size()) return call.positional[index];
  }
  for (const auto& [name, value] : call.named) {
    if (name == field) return value;
  }
  throw call.state.error("format() has no value for {" + field + "}");
}

}  // namespace

Value brace_format(Call& call) {
  const MarkedText& text = call.self.text();
  const std::string& bytes = text.text();
  MarkedText out;
  size_t next = 0, done = 0;
  for (size_t at = bytes.find_first_of("{}"); at != std::string::npos;
       at = bytes.find_first_of("{}", at)) {
    bool doubled = at + 1 < bytes.size() && bytes[at + 1] == bytes[at];
    out.append(text.part(done, doubled ? at + 1 : at));
    size_t close = bytes.find('}', at);
    if (doubled) {
      done = at += 2;
      continue;
    }
    if (bytes[at] == '}' || close == std::string::npos) {
      throw call.state.error("a format has a brace without its other half");
    }
    MarkedText part =
        to_text(call.state, field_value(call, bytes.substr(at + 1, close - at - 1), next));
    call.state.check_room(static_cast<int64_t>(out.memory() + part.memory()));
    call.state.work_on_bytes(part.size());
    out.append(part);
    done = at = close + 1;
  }
  out.append(text.part(done, text.size()));
  return make_string(call.state, std::move(out));
}

std::string format_time(RenderState& state, std::string_view format) {
  constexpr size_t kMostBytes = 256;
  constexpr std::string_view kCodes = "aAbBdeHIjmMpSyYFTDRxXcZzuwUWV%";
  if (format.size() > kMostBytes) throw state.error("a date format is too long");
  for (size_t at = format.find('%'); at != format.npos; at = format.find('%', at + 1)) {
    ++at;
    if (at < format.size() && format[at] == '-') ++at;
    if (at >= format.size() || kCodes.find(format[at]) == kCodes.npos) {
      throw state.error("a code of a date format is not supported", ErrorCode::Unsupported)
          .got(std::string(format));
    }
  }
  char buffer[8 * kMostBytes];
  std::string text(format);
  size_t size = std::strftime(buffer, sizeof buffer, text.c_str(), &state.now());
  return std::string(buffer, size);
}

}  // namespace tenon::text
