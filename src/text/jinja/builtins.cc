#include "text/jinja/builtins.h"

#include <algorithm>

#include "base/text.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"

namespace tenon::text {

Bound::Bound(const Call& call, std::initializer_list<std::string_view> parameters, size_t required)
    : call_(call), given_(parameters.size(), nullptr), names_(parameters) {
  std::string who = std::string(call.name) + "()";
  if (call.positional.size() > names_.size()) {
    throw call.state.error(who + " has too many arguments")
        .got(std::to_string(call.positional.size()))
        .accepted("at most " + std::to_string(names_.size()));
  }
  for (size_t i = 0; i < call.positional.size(); ++i) given_[i] = &call.positional[i];
  for (const auto& [name, value] : call.named) {
    auto found = std::ranges::find(names_, name);
    if (found == names_.end()) throw call.state.error(who + " has no argument '" + name + "'");
    const Value*& place = given_[static_cast<size_t>(found - names_.begin())];
    if (place) throw call.state.error(who + " has its argument '" + name + "' twice");
    place = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (given_[i]) continue;
    throw call.state.error(who + " lacks its argument '" + std::string(names_[i]) + "'");
  }
}

int64_t Bound::integer(size_t index, int64_t otherwise) const {
  const Value* value = given_[index];
  if (!value || value->is_none()) return otherwise;
  if (value->is_integral()) return value->as_int();
  throw call_.state
      .error(std::string(call_.name) + "() takes a whole number for '" +
             std::string(names_[index]) + "'")
      .got(std::string(type_name(*value)));
}

std::string Bound::string(size_t index, std::string_view otherwise) const {
  const Value* value = given_[index];
  if (!value || value->is_none() || value->is_undefined()) return std::string(otherwise);
  if (value->is_string()) return value->bytes();
  throw call_.state
      .error(std::string(call_.name) + "() takes a string for '" + std::string(names_[index]) + "'")
      .got(std::string(type_name(*value)));
}

MarkedText self_text(const Call& call) {
  return to_text(call.state, call.self);
}

Value get_path(RenderState& state, const Value& value, const Value& path) {
  if (!path.is_string()) return get_item(state, value, path);
  Value found = value;
  for (const std::string& name : split(path.bytes(), '.')) {
    bool digits = !name.empty() && name.size() < 10 &&
                  name.find_first_not_of("0123456789") == std::string::npos;
    found = get_item(state, found,
                     digits ? Value::of(int64_t{std::stoi(name)}) : make_string(state, name));
  }
  return found;
}

}  // namespace tenon::text
