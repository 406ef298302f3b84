#include "text/jinja/print.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/jinja/operators.h"
#include "text/unicode.h"

namespace tenon::text {
namespace {

void append_hex(std::string& out, char kind, CodePoint c, int digits) {
  constexpr char kDigits[] = "0123456789abcdef";
  out += '\\';
  out += kind;
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += kDigits[(c >> shift) & 15];
}

// One character as repr() writes it between `quote`s.
void append_repr(std::string& out, CodePoint c, char quote) {
  if (c == quote || c == '\\') {
    out += '\\';
    out += static_cast<char>(c);
  } else if (c == '\n') {
    out += "\\n";
  } else if (c == '\r') {
    out += "\\r";
  } else if (c == '\t') {
    out += "\\t";
  } else if (is_printable(c)) {
    append_utf8(out, c);
  } else if (c < 0x100) {
    append_hex(out, 'x', c, 2);
  } else if (c < 0x10000) {
    append_hex(out, 'u', c, 4);
  } else {
    append_hex(out, 'U', c, 8);
  }
}

void append_json(std::string& out, CodePoint c, bool ascii) {
  constexpr std::string_view kNamed = "\b\f\n\r\t\"\\", kLetters = "bfnrt\"\\";
  size_t named = c < 0x80 ? kNamed.find(static_cast<char>(c)) : kNamed.npos;
  if (named != kNamed.npos && c != 0) {
    out += '\\';
    out += kLetters[named];
  } else if (c < 0x20 || (ascii && c > 0x7E && c < 0x10000)) {
    append_hex(out, 'u', c, 4);
  } else if (ascii && c >= 0x10000) {
    append_hex(out, 'u', 0xD800 + ((c - 0x10000) >> 10), 4);
    append_hex(out, 'u', 0xDC00 + ((c - 0x10000) & 0x3FF), 4);
  } else {
    append_utf8(out, c);
  }
}

class Printer {
 public:
  explicit Printer(RenderState& state) : state_(state) {}

  MarkedText take() { return std::move(out_); }

  void repr(const Value& value) {
    DepthGuard guard(state_);
    state_.work();
    if (value.is_string()) {
      repr_string(value.text());
    } else if (value.is_list()) {
      bool tuple = value.list().form == ListObject::Form::Tuple;
      repr_list(value.list(), tuple ? '(' : '[', tuple ? ')' : ']');
    } else if (value.is_dict()) {
      repr_dict(value.dict());
    } else if (value.is(Value::Kind::Callable)) {
      add("<function " + value.callable().name + ">");
    } else if (value.is_undefined()) {
      add("Undefined");
    } else {
      add(plain(value));
    }
  }

  // Values other than strings, lists and dicts.
  static std::string plain(const Value& value) {
    switch (value.kind()) {
      case Value::Kind::None:
        return "None";
      case Value::Kind::Bool:
        return value.as_bool() ? "True" : "False";
      case Value::Kind::Int:
        return std::to_string(value.as_int());
      case Value::Kind::Float:
        return float_repr(value.as_double());
      case Value::Kind::Namespace:
        return "<Namespace>";
      case Value::Kind::Loop:
        return "<LoopContext " + std::to_string(value.loop().index + 1) + "/" +
               std::to_string(value.loop().items.size()) + ">";
      default:
        return "";
    }
  }

  void json(const Value& value, const JsonStyle& style, int level) {
    DepthGuard guard(state_);
    state_.work();
    if (value.is_string()) {
      json_string(value.text(), style);
    } else if (value.is_list()) {
      json_list(to_items(state_, value), style, level);
    } else if (value.is_dict()) {
      json_dict(value.dict(), style, level);
    } else {
      add(json_plain(value));
    }
  }

 private:
  void add(std::string_view text) { out_.append(text); }

  // Made piece by piece, since the pieces may have been written by different hands.
  template <class Append>
  void add_characters(const MarkedText& text, Append&& append) {
    state_.work_on_bytes(text.size() * 32);
    state_.check_room(static_cast<int64_t>(out_.memory() + 2 * text.memory()));
    size_t done = 0;
    auto write = [&](size_t end, bool user) {
      std::string escaped;
      while (done < end) append(escaped, next_char(text.text(), done));
      out_.append(escaped, user);
    };
    for (const ByteRange& range : text.user_ranges()) {
      write(range.begin, false);
      write(range.end, true);
    }
    write(text.size(), false);
  }

  void repr_string(const MarkedText& text) {
    bool has_single = text.text().find('\'') != std::string::npos;
    char quote = has_single && text.text().find('"') == std::string::npos ? '"' : '\'';
    add({&quote, 1});
    add_characters(text, [quote](std::string& out, CodePoint c) { append_repr(out, c, quote); });
    add({&quote, 1});
  }

  void repr_list(const ListObject& list, char open, char close) {
    add({&open, 1});
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) add(", ");
      repr(list.items[i]);
    }
    if (open == '(' && list.items.size() == 1) add(",");
    add({&close, 1});
  }

  void repr_dict(const DictObject& dict) {
    add("{");
    for (size_t i = 0; i < dict.items.size(); ++i) {
      if (i > 0) add(", ");
      repr(dict.items[i].first);
      add(": ");
      repr(dict.items[i].second);
    }
    add("}");
  }

  void json_string(const MarkedText& text, const JsonStyle& style) {
    add("\"");
    add_characters(text, [&](std::string& out, CodePoint c) { append_json(out, c, style.ascii); });
    add("\"");
  }

  std::string json_plain(const Value& value) {
    if (value.is_none()) return "null";
    if (value.is(Value::Kind::Bool)) return value.as_bool() ? "true" : "false";
    if (value.is(Value::Kind::Float)) {
      double number = value.as_double();
      if (std::isnan(number)) return "NaN";
      if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
    }
    if (value.is_number()) return plain(value);
    if (value.is_undefined()) throw state_.error(value.undefined_hint());
    throw state_.error("a " + std::string(type_name(value)) + " cannot be written as JSON");
  }

  void new_line(const JsonStyle& style, int level) {
    if (!style.indent) return;
    add("\n");
    for (int i = 0; i < level; ++i) add(*style.indent);
  }

  void json_list(const Values& items, const JsonStyle& style, int level) {
    add("[");
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) add(style.item_separator);
      new_line(style, level + 1);
      json(items[i], style, level + 1);
    }
    if (!items.empty()) new_line(style, level);
    add("]");
  }

  void json_dict(const DictObject& dict, const JsonStyle& style, int level) {
    DictItems items = dict.items;
    if (style.sort_keys) {
      std::ranges::stable_sort(items, [&](const auto& left, const auto& right) {
        return less(state_, left.first, right.first);
      });
    }
    add("{");
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) add(style.item_separator);
      new_line(style, level + 1);
      const Value& key = items[i].first;
      json_string(key.is_string() ? key.text() : MarkedText(json_plain(key)), style);
      add(style.key_separator);
      json(items[i].second, style, level + 1);
    }
    if (!items.empty()) new_line(style, level);
    add("}");
  }

  RenderState& state_;
  MarkedText out_;
};

}  // namespace

// Shortest digits that read back, laid out as Python does: exponents below -4 and from 16 on.
std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  auto [end, ignored] =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  std::string text(buffer, end);
  size_t mark = text.find('e');
  int exponent = std::stoi(text.substr(mark + 1));
  if (exponent < -4 || exponent >= 16) return text;
  auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  text.assign(buffer, fixed.ptr);
  return text.find('.') == std::string::npos ? text + ".0" : text;
}

MarkedText to_text(RenderState& state, const Value& value) {
  if (value.is_string()) return value.text();
  if (value.is_undefined()) return {};
  return to_repr(state, value);
}

MarkedText to_repr(RenderState& state, const Value& value) {
  Printer printer(state);
  printer.repr(value);
  return printer.take();
}

MarkedText to_json_text(RenderState& state, const Value& value, const JsonStyle& style) {
  Printer printer(state);
  printer.json(value, style, 0);
  return printer.take();
}

}  // namespace tenon::text
