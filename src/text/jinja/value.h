#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "data/json.h"
#include "text/jinja/marked_text.h"
#include "text/jinja/render_state.h"

namespace tenon::text {

class Value;
struct StringObject;
struct ListObject;
struct DictObject;
struct NamespaceObject;
struct LoopObject;
struct CallableObject;

using Values = std::vector<Value>;
using NamedValues = std::vector<std::pair<std::string, Value>>;
using DictItems = std::vector<std::pair<Value, Value>>;

// A value of a template, with the semantics of the Python object that Jinja would have. Strings,
// lists and dicts never change; a copy shares them. Depth and number of values are bounded when
// they are made, so that no walk over a value needs a guard of its own.
class Value {
 public:
  enum class Kind {
    Undefined,
    None,
    Bool,
    Int,
    Float,
    String,
    List,
    Dict,
    Namespace,
    Loop,
    Callable
  };
  struct Undefined {
    std::shared_ptr<const std::string> hint;  // what was looked for, for the error of its use
  };

  Value() = default;  // undefined
  static Value undefined(std::string hint);
  static Value none() { return Value(Data(std::monostate())); }
  static Value of(bool value) { return Value(Data(value)); }
  static Value of(int64_t value) { return Value(Data(value)); }
  static Value of(double value) { return Value(Data(value)); }
  explicit Value(std::shared_ptr<NamespaceObject> object) : data_(std::move(object)) {}
  explicit Value(std::shared_ptr<LoopObject> object) : data_(std::move(object)) {}
  // A constant of the template: counted nowhere.
  static Value constant(std::string text);

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is(Kind wanted) const { return kind() == wanted; }
  bool is_undefined() const { return is(Kind::Undefined); }
  bool is_none() const { return is(Kind::None); }
  bool is_string() const { return is(Kind::String); }
  bool is_list() const { return is(Kind::List); }
  bool is_dict() const { return is(Kind::Dict); }
  // Numbers as Python counts them: bool is one.
  bool is_integral() const { return is(Kind::Bool) || is(Kind::Int); }
  bool is_number() const { return is_integral() || is(Kind::Float); }

  // Each for its kind only.
  const std::string& undefined_hint() const;
  bool as_bool() const { return std::get<bool>(data_); }
  int64_t as_int() const;    // of Bool and Int
  double as_double() const;  // of Bool, Int and Float
  const MarkedText& text() const;
  const std::string& bytes() const { return text().text(); }
  const ListObject& list() const { return *std::get<std::shared_ptr<const ListObject>>(data_); }
  const DictObject& dict() const { return *std::get<std::shared_ptr<const DictObject>>(data_); }
  NamespaceObject& name_space() const { return *std::get<std::shared_ptr<NamespaceObject>>(data_); }
  LoopObject& loop() const { return *std::get<std::shared_ptr<LoopObject>>(data_); }
  const CallableObject& callable() const;

  // Whether both are one object, or equal plain values: Python's `is`.
  bool same_as(const Value& other) const;
  int depth() const;       // of nested lists and dicts
  int64_t weight() const;  // values in it, those that occur twice counted twice

 private:
  using Data = std::variant<Undefined, std::monostate, bool, int64_t, double,
                            std::shared_ptr<const StringObject>, std::shared_ptr<const ListObject>,
                            std::shared_ptr<const DictObject>, std::shared_ptr<NamespaceObject>,
                            std::shared_ptr<LoopObject>, std::shared_ptr<const CallableObject>>;
  explicit Value(Data data) : data_(std::move(data)) {}
  friend Value make_string(RenderState&, MarkedText);
  friend Value make_list_of(RenderState&, Values, int);
  friend Value make_dict(RenderState&, DictItems);
  friend Value make_callable(RenderState&, std::string, std::function<Value(struct Call&)>);
  Data data_;
};

// A call of a filter, test, method, function or macro.
struct Call {
  RenderState& state;
  std::string_view name;
  Value self;  // what a filter or test is applied to, or a method belongs to
  Values positional;
  NamedValues named;
};
using Builtin = Value (*)(Call&);

struct StringObject {
  MarkedText text;
  Charge charge;
};
struct ListObject {
  enum class Form { List, Tuple, Generator };
  Values items;
  Form form;
  int depth;
  int64_t weight;
  Charge charge;
  // Generators (what map or select give) can be walked once, as in Python.
  mutable bool consumed = false;
};
struct DictObject {
  DictItems items;  // in the order of insertion
  int depth;
  int64_t weight;
  Charge charge;
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
};
struct NamespaceObject {
  NamedValues attributes;
  Charge charge;
};
struct LoopObject {
  Values items;
  size_t index = 0;
  int64_t depth = 1;
  Value last_changed;  // of loop.changed()
  bool asked_changed = false;
  std::function<Value(Call&)> recurse;  // of a recursive loop
  Charge charge;
};
struct CallableObject {
  std::string name;
  std::function<Value(Call&)> call;
  Charge charge;
};

Value make_string(RenderState& state, MarkedText text);
Value make_string(RenderState& state, std::string_view text);
Value make_list_of(RenderState& state, Values items, int form);
Value make_list(RenderState& state, Values items);
Value make_tuple(RenderState& state, Values items);
Value make_generator(RenderState& state, Values items);
Value make_dict(RenderState& state, DictItems items);  // of two equal keys the later counts
Value make_callable(RenderState& state, std::string name, std::function<Value(Call&)> call);

// Strings of `json` are a user's, but for values of "role" that are well-known words: templates
// build special tokens from them.
Value from_json(RenderState& state, const data::Json& json);
// The same, with all strings the template's own.
Value from_trusted_json(RenderState& state, const data::Json& json);

// "dict object", "str object", as Jinja's errors speak of a value.
std::string_view type_name(const Value& value);

bool is_true(const Value& value);
// The elements that a loop would see. Throws for what cannot be walked.
Values to_items(RenderState& state, const Value& value);
// Python's len(). Throws for what has none.
int64_t length_of(RenderState& state, const Value& value);

}  // namespace tenon::text
