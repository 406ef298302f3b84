#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace tenon::text {

// What templates find without defining it. A list an area, in the file of that name.
struct NamedBuiltin {
  std::string_view name;
  Builtin call;
};

// nullptr: there is none of that name.
Builtin find_filter(std::string_view name);
Builtin find_test(std::string_view name);
Builtin find_function(std::string_view name);
std::vector<std::string> filter_names();
std::vector<std::string> test_names();

// value.name where that is a method; else undefined. Methods that would change a value, and
// Python's that are not here, are refused when they are called.
Value bound_method(RenderState& state, const Value& value, std::string_view name);

// The arguments of a call by the names of its parameters: positional ones first, then named.
class Bound {
 public:
  // Throws where there are more, unknown or double ones, or fewer than `required`.
  Bound(const Call& call, std::initializer_list<std::string_view> parameters, size_t required = 0);
  // nullptr where it was not given.
  const Value* operator[](size_t index) const { return given_[index]; }
  Value get(size_t index, Value otherwise) const {
    return given_[index] ? *given_[index] : otherwise;
  }
  bool flag(size_t index, bool otherwise) const {
    return given_[index] ? is_true(*given_[index]) : otherwise;
  }
  int64_t integer(size_t index, int64_t otherwise) const;
  // Not for undefined or none, where the default counts.
  std::string string(size_t index, std::string_view otherwise) const;

 private:
  const Call& call_;
  std::vector<const Value*> given_;
  std::vector<std::string_view> names_;
};

// The self of a string filter or method: Jinja's filters apply str() first.
MarkedText self_text(const Call& call);

// "a.b.0" of `value`, for the `attribute` arguments of filters.
Value get_path(RenderState& state, const Value& value, const Value& path);

}  // namespace tenon::text
