#include "plan/attribute_json.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "plan/json_fields.h"

namespace tenon::plan {
namespace {

using data::Json;

Json double_to_json(double value) {
  if (std::isnan(value)) return Json("nan");
  if (std::isinf(value)) return Json(value > 0 ? "inf" : "-inf");
  return Json(value);
}

double double_from_json(const Json& json, std::string_view name) {
  if (!json.is_string()) return json.as_double(name);
  const std::string& text = json.as_string(name);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (text == "inf") return kInfinity;
  if (text == "-inf") return -kInfinity;
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  throw Error(ErrorCode::BadInput, "not a number").at(name).got(text);
}

struct ToJson {
  std::string_view kind;
  Json value;

  void operator()(bool v) { set("bool", v); }
  void operator()(int64_t v) { set("i64", v); }
  void operator()(double v) { set("f64", double_to_json(v)); }
  void operator()(const std::string& v) { set("text", v); }
  void operator()(const std::vector<int64_t>& v) { set("i64s", to_json_list(v)); }
  void operator()(const std::vector<std::string>& v) { set("texts", to_json_list(v)); }
  void operator()(const std::vector<double>& v) {
    Json list = Json::array();
    for (double item : v) list.push_back(double_to_json(item));
    set("f64s", std::move(list));
  }

 private:
  void set(std::string_view kind_name, Json json) {
    kind = kind_name;
    value = std::move(json);
  }
};

template <class T, class Read>
std::vector<T> list_from_json(const Json& json, std::string_view name, Read&& read) {
  std::vector<T> list;
  for (const Json& item : json.as_array(name)) list.push_back(read(item));
  return list;
}

ops::Attribute attribute_from_json(std::string_view name, std::string_view kind,
                                   const Json& value) {
  if (kind == "bool") return value.as_bool(name);
  if (kind == "i64") return value.as_int(name);
  if (kind == "f64") return double_from_json(value, name);
  if (kind == "text") return value.as_string(name);
  if (kind == "i64s") {
    return list_from_json<int64_t>(value, name,
                                   [&](const Json& item) { return item.as_int(name); });
  }
  if (kind == "f64s") {
    return list_from_json<double>(value, name,
                                  [&](const Json& item) { return double_from_json(item, name); });
  }
  if (kind == "texts") {
    return list_from_json<std::string>(value, name,
                                       [&](const Json& item) { return item.as_string(name); });
  }
  throw Error(ErrorCode::BadInput, "unknown kind of attribute").at(name).got(kind);
}

}  // namespace

Json attributes_to_json(const ops::Attributes& attributes) {
  Json list = Json::array();
  for (const auto& [name, value] : attributes.entries()) {
    ToJson writer;
    std::visit(writer, value);
    list.push_back(Json(Json::Array{Json(name), Json(writer.kind), std::move(writer.value)}));
  }
  return list;
}

ops::Attributes attributes_from_json(const Json& json) {
  ops::Attributes attributes;
  for (const Json& item : json.as_array("attributes")) {
    const Json::Array& entry = item.as_array("attributes");
    if (entry.size() != 3) {
      throw Error(ErrorCode::BadInput, "attribute must be [name, kind, value]").at("attributes");
    }
    const std::string& name = entry[0].as_string("attributes");
    if (attributes.find(name)) throw Error(ErrorCode::BadInput, "attribute appears twice").at(name);
    attributes.set(name, attribute_from_json(name, entry[1].as_string(name), entry[2]));
  }
  return attributes;
}

}  // namespace tenon::plan
