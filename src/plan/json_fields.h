#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "data/json.h"

namespace tenon::plan {

// Reading one JSON object whose fields are known.
class JsonFields {
 public:
  JsonFields(const data::Json& json, bool strict, std::initializer_list<std::string_view> known)
      : json_(json) {
    for (const auto& [name, value] : json.as_object("$")) {
      bool is_known = std::find(known.begin(), known.end(), name) != known.end();
      if (strict && !is_known) throw Error(ErrorCode::BadInput, "unknown field").got(name);
    }
  }
  const data::Json& at(std::string_view name) const { return json_.at(name, "$"); }
  const data::Json* find(std::string_view name) const { return json_.find(name); }
  const std::string& text(std::string_view name) const { return at(name).as_string(name); }
  template <class T = int64_t>
  T number(std::string_view name) const {
    return checked_cast<T>(at(name).as_int(name), name);
  }
  std::vector<int32_t> indices(std::string_view name) const {
    std::vector<int32_t> values;
    for (const data::Json& item : at(name).as_array(name)) {
      values.push_back(checked_cast<int32_t>(item.as_int(name), name));
    }
    return values;
  }
  std::vector<std::string> texts(std::string_view name) const {
    std::vector<std::string> values;
    for (const data::Json& item : at(name).as_array(name)) values.push_back(item.as_string(name));
    return values;
  }

 private:
  const data::Json& json_;
};

// Calls `read` for each item and names the item in its errors.
template <class Read>
void read_items(const data::Json& list, std::string_view what, Read&& read) {
  size_t index = 0;
  for (const data::Json& item : list.as_array(what)) {
    try {
      read(item);
    } catch (Error& error) {
      error.within(std::string(what) + " " + std::to_string(index));
      throw;
    }
    ++index;
  }
}

template <class T>
data::Json to_json_list(const std::vector<T>& values) {
  data::Json::Array list;
  list.reserve(values.size());
  for (const T& value : values) list.emplace_back(value);
  return data::Json(std::move(list));
}

}  // namespace tenon::plan
