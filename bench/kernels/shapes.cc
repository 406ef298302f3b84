#include "kernels/shapes.h"

#include "base/error.h"

namespace tenon::bench {
namespace {

using data::Json;

constexpr int64_t kMostSize = int64_t{1} << 31;
constexpr size_t kMostCases = 10'000;

std::string plain(const Json& value) {
  return value.is_string() ? value.as_string("value") : value.dump();
}

void expand(const Case& base, const Json::Object& members, size_t next, std::vector<Case>& cases) {
  if (next == members.size()) {
    if (cases.size() == kMostCases) {
      throw Error(ErrorCode::BadInput, "too many cases").accepted(std::to_string(kMostCases));
    }
    cases.push_back(base);
    return;
  }
  const auto& [key, value] = members[next];
  auto go_on = [&](const Json& one) {
    Case with = base;
    if (key == "op") {
      with.op = one.as_string("$.op");
    } else if (key == "model") {
      with.model = one.as_string("$.model");
    } else {
      with.fields.set(key, one);
    }
    expand(with, members, next + 1, cases);
  };
  if (!value.is_array()) return go_on(value);
  for (const Json& one : value.as_array(key)) go_on(one);
}

}  // namespace

std::string Case::name() const {
  std::string text = model + " " + op, sizes;
  for (const auto& [key, value] : fields.as_object("fields")) {
    if (value.is_string()) {
      text += " " + (key == "dtype" || key == "layer" ? "" : key + "=") + plain(value);
    } else {
      sizes += " " + key + "=" + plain(value);
    }
  }
  return text + sizes;
}

Json Case::to_json() const {
  Json json = Json::object();
  json.set("model", model).set("op", op);
  for (const auto& [key, value] : fields.as_object("fields")) json.set(key, value);
  return json;
}

int64_t Case::size(std::string_view key, int64_t least) const {
  int64_t value = fields.at(key, op).as_int(key);
  if (value >= least && value <= kMostSize) return value;
  throw Error(ErrorCode::BadInput, "size is out of range")
      .at(op)
      .at(key)
      .got(std::to_string(value))
      .accepted(std::to_string(least) + " to " + std::to_string(kMostSize));
}

int64_t Case::size_or(std::string_view key, int64_t otherwise) const {
  return fields.find(key) ? size(key, 0) : otherwise;
}

std::string Case::text(std::string_view key, std::string_view otherwise) const {
  const Json* value = fields.find(key);
  return value ? value->as_string(key) : std::string(otherwise);
}

std::vector<Case> read_shapes(const Json& file) {
  Case base;
  base.model = file.at("model", "$").as_string("$.model");
  std::vector<Case> cases;
  for (const Json& entry : file.at("cases", "$").as_array("$.cases")) {
    entry.at("op", "$.cases");
    expand(base, entry.as_object("$.cases"), 0, cases);
  }
  return cases;
}

Case read_case(const Json& json) {
  std::vector<Case> cases;
  json.at("op", "$");
  expand({}, json.as_object("$"), 0, cases);
  if (cases.size() != 1) throw Error(ErrorCode::BadInput, "one case has one value a field");
  return cases[0];
}

}  // namespace tenon::bench
