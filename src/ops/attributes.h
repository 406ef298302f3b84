#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/variant.h"

namespace tenon::ops {

using Attribute = Variant<bool, int64_t, double, std::string, std::vector<int64_t>,
                          std::vector<double>, std::vector<std::string>>;

std::string to_string(const Attribute& value);  // true, 12, 1.0e-05, "gelu_tanh", [1, 2]

// The attributes of one node: ordered name -> value pairs.
class Attributes {
 public:
  using Entry = std::pair<std::string, Attribute>;

  const Attribute* find(std::string_view name) const {
    for (const Entry& entry : entries_) {
      if (entry.first == name) return &entry.second;
    }
    return nullptr;
  }
  Attributes& set(std::string_view name, Attribute value) {
    for (Entry& entry : entries_) {
      if (entry.first == name) {
        entry.second = std::move(value);
        return *this;
      }
    }
    entries_.emplace_back(std::string(name), std::move(value));
    return *this;
  }
  const std::vector<Entry>& entries() const { return entries_; }
  bool operator==(const Attributes&) const = default;

 private:
  std::vector<Entry> entries_;
};

// An op's attributes are a plain struct with defaults and one `visit(v)` that names each field:
//   struct RmsNorm { double eps = 1e-6; template <class V> void visit(V&& v) { v("eps", eps); } };
// read_attributes and to_attributes convert; unknown or mistyped attributes are refused.
namespace detail {

struct Reader {
  const Attributes& attributes;
  size_t seen = 0;
  template <class T>
  void operator()(std::string_view name, T& field) {
    const Attribute* value = attributes.find(name);
    if (!value) return;
    const T* typed = std::get_if<T>(value);
    if (!typed) {
      throw Error(ErrorCode::BadInput, "attribute has the wrong type")
          .at(name)
          .got(to_string(*value));
    }
    field = *typed;
    ++seen;
  }
};

struct Writer {
  Attributes& attributes;
  template <class T>
  void operator()(std::string_view name, T& field) {
    attributes.set(name, field);
  }
};

struct NameCollector {
  std::vector<std::string>& names;
  template <class T>
  void operator()(std::string_view name, T&) {
    names.emplace_back(name);
  }
};

}  // namespace detail

template <class Op>
Op read_attributes(const Attributes& attributes) {
  Op op;
  detail::Reader reader{attributes};
  op.visit(reader);
  if (reader.seen != attributes.entries().size()) {
    std::vector<std::string> known;
    op.visit(detail::NameCollector{known});
    for (const auto& [name, value] : attributes.entries()) {
      bool is_known = false;
      for (const std::string& candidate : known) is_known = is_known || candidate == name;
      if (!is_known) throw Error(ErrorCode::BadInput, "unknown attribute").at(Op::kName).got(name);
    }
  }
  return op;
}

template <class Op>
Attributes to_attributes(Op op) {
  Attributes attributes;
  op.visit(detail::Writer{attributes});
  return attributes;
}

}  // namespace tenon::ops
