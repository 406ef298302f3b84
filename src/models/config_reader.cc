#include "models/config_reader.h"

#include <algorithm>

namespace tenon::models {

void ConfigReader::problem(std::string_view field, std::string_view what, std::string_view got,
                           std::string_view accepted) {
  bad_fields_.emplace(field);
  problems_.add(Error(ErrorCode::BadInput, what)
                    .at("config.json: $." + std::string(field))
                    .got(got)
                    .accepted(accepted));
}

int64_t ConfigReader::whole(std::string_view name, int64_t least, int64_t most, int64_t otherwise) {
  std::string range = std::to_string(least) + " to " + std::to_string(most);
  const data::Json* value = find(name);
  if (!value) {
    if (otherwise >= least) return otherwise;
    if (otherwise == INT64_MIN) problem(name, "field is missing", "nothing", range);
    return otherwise == INT64_MIN ? least : otherwise;
  }
  try {
    int64_t number = value->as_int(name);
    if (number >= least && number <= most) return number;
    problem(name, "number is out of range", std::to_string(number), range);
  } catch (const Error& error) {
    problem(name, error.problem(), error.got(), range);
  }
  return least;
}

double ConfigReader::number(std::string_view name, double above, double most, double otherwise) {
  std::string range = "above " + format_double(above) + ", at most " + format_double(most);
  const data::Json* value = find(name);
  if (!value) {
    if (std::isnan(otherwise)) problem(name, "field is missing", "nothing", range);
    return otherwise;
  }
  try {
    double result = value->as_double(name);
    if (std::isfinite(result) && result > above && result <= most) return result;
    problem(name, "number is out of range", format_double(result), range);
  } catch (const Error& error) {
    problem(name, error.problem(), error.got(), range);
  }
  return otherwise;
}

bool ConfigReader::flag(std::string_view name, bool otherwise) {
  const data::Json* value = find(name);
  if (!value) return otherwise;
  if (value->is_bool()) return value->as_bool(name);
  problem(name, "value has the wrong kind", value->kind_name(), "true or false");
  return otherwise;
}

std::string ConfigReader::text(std::string_view name, std::string_view otherwise) {
  const data::Json* value = find(name);
  if (!value) return std::string(otherwise);
  if (value->is_string()) return value->as_string(name);
  problem(name, "value has the wrong kind", value->kind_name(), "a string");
  return std::string(otherwise);
}

std::vector<std::string> ConfigReader::unknown(std::span<const std::string_view> known) const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : config_.as_object("$")) {
    if (std::find(known.begin(), known.end(), key) == known.end()) keys.push_back(key);
  }
  return keys;
}

void ConfigReader::optional_token_id(std::string_view name, int64_t vocabulary) {
  const data::Json* value = find(name);
  if (!value || is_bad("vocab_size")) return;
  if (!value->is_int() || value->as_int(name) >= vocabulary) {
    problem(name, "token id is outside the vocabulary", value->dump(),
            "below " + std::to_string(vocabulary));
  }
}

void ConfigReader::refuse_quantised() {
  const data::Json* quantised = find("quantization_config");
  if (!quantised) return;
  std::string method =
      quantised->is_object() ? quantised->get_string("quant_method", "unnamed") : "unnamed";
  problems_.add(Error(ErrorCode::Unsupported, "quantised checkpoints are not supported")
                    .at("config.json: $.quantization_config")
                    .got(method)
                    .accepted("f32, f16 or bf16 weights")
                    .fix("build from the original checkpoint"));
}

std::vector<int64_t> token_ids(ConfigReader& reader, const data::Json* value, std::string_view name,
                               int64_t vocabulary) {
  std::vector<int64_t> ids;
  if (!value || value->is_null() || reader.is_bad("vocab_size")) return ids;
  std::vector<data::Json> items;
  if (value->is_array()) {
    items = value->as_array(name);
  } else {
    items.push_back(*value);
  }
  for (const data::Json& item : items) {
    int64_t id = item.is_int() ? item.as_int(name) : -1;
    if (id < 0 || id >= vocabulary) {
      reader.problem(name, "token id is outside the vocabulary", item.dump(),
                     "0 to " + std::to_string(vocabulary - 1));
      continue;
    }
    ids.push_back(id);
  }
  return ids;
}

}  // namespace tenon::models
