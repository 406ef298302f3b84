#include "plan/plan_json.h"

#include <algorithm>

#include "base/limits.h"
#include "base/text.h"
#include "plan/enum_names.h"
#include "plan/json_fields.h"
#include "plan/plan_format.h"

namespace tenon::plan {
namespace {

using data::Json;

// Bounds the memory of the tree: about 40 bytes a value. Commas and opening brackets bound the
// number of values from above.
void check_section_size(std::string_view text) {
  int64_t bytes = static_cast<int64_t>(text.size());
  int64_t values = std::count_if(text.begin(), text.end(),
                                 [](char c) { return c == ',' || c == '[' || c == '{'; });
  if (bytes > kLimits.plan_json_bytes || values > kLimits.plan_json_values) {
    throw Error(ErrorCode::BadInput, "section is too large: too many bytes or values")
        .got(std::to_string(bytes) + " bytes, " + std::to_string(values) + " values")
        .accepted("at most " + std::to_string(kLimits.plan_json_bytes) + " and " +
                  std::to_string(kLimits.plan_json_values));
  }
}

Json to_json(const Feed& feed) {
  Json json = Json::object();
  json.set("from_stage", feed.from_stage).set("from_value", feed.from_value);
  json.set("to_stage", feed.to_stage).set("to_value", feed.to_value);
  return json;
}

Json to_json(const Constant& constant) {
  Json extents = Json::array();
  for (int64_t extent : constant.extents) extents.push_back(extent);
  Json json = Json::object();
  json.set("name", constant.name).set("dtype", dtype_name(constant.dtype));
  json.set("extents", std::move(extents));
  json.set("offset", constant.offset).set("bytes", constant.bytes);
  json.set("recipe", constant.recipe).set("sources", to_json_list(constant.sources));
  return json;
}

Constant constant_from_json(const Json& json, bool strict) {
  JsonFields fields(json, strict,
                    {"name", "dtype", "extents", "offset", "bytes", "recipe", "sources"});
  Constant constant;
  constant.name = fields.text("name");
  constant.dtype = dtype_from_text(fields.text("dtype"));
  for (const Json& item : fields.at("extents").as_array("extents")) {
    if (constant.extents.rank() == kMaxRank) {
      throw Error(ErrorCode::BadInput, "rank is too high").at("extents").accepted("at most 8");
    }
    constant.extents.push_back(item.as_int("extents"));
  }
  constant.offset = fields.number("offset");
  constant.bytes = fields.number("bytes");
  constant.recipe = fields.text("recipe");
  constant.sources = fields.texts("sources");
  return constant;
}

}  // namespace

Json parse_section(std::string_view text) {
  check_section_size(text);
  return data::parse_json(text, {.most_depth = kLimits.plan_json_depth});
}

std::string json_text(const Json& json, std::string_view section_name) {
  std::string text = json.dump();
  try {
    if (!is_valid_utf8(text)) throw Error(ErrorCode::BadInput, "text is not UTF-8");
    check_section_size(text);
  } catch (Error& error) {
    error.within("section " + std::string(section_name));
    throw;
  }
  return text;
}

std::string write_plan_section(const Plan& plan) {
  Json feeds = Json::array();
  for (const Feed& feed : plan.feeds) feeds.push_back(to_json(feed));
  Json json = Json::object();
  json.set("architecture", plan.architecture).set("name", plan.name);
  json.set("pipeline", plan.pipeline).set("model", plan.model);
  json.set("generation", plan.generation).set("precision", plan.precision);
  json.set("budgets", plan.budgets).set("provenance", plan.provenance);
  json.set("feeds", std::move(feeds));
  if (!plan.tactics.empty()) json.set("tactics", to_json(plan.tactics));
  return json_text(json, section::kPlan);
}

void read_plan_section(std::string_view text, bool strict, Plan& plan) {
  Json json = parse_section(text);
  JsonFields fields(json, strict,
                    {"architecture", "name", "pipeline", "model", "generation", "precision",
                     "budgets", "provenance", "feeds", "tactics"});
  plan.architecture = fields.text("architecture");
  plan.name = fields.text("name");
  plan.pipeline = fields.text("pipeline");
  plan.model = fields.at("model");
  plan.generation = fields.at("generation");
  plan.precision = fields.at("precision");
  plan.budgets = fields.at("budgets");
  plan.provenance = fields.at("provenance");
  if (const Json* tactics = fields.find("tactics")) plan.tactics = tactic_sets_from_json(*tactics);
  read_items(fields.at("feeds"), "feed", [&](const Json& item) {
    JsonFields feed(item, strict, {"from_stage", "from_value", "to_stage", "to_value"});
    plan.feeds.push_back({feed.text("from_stage"), feed.text("from_value"), feed.text("to_stage"),
                          feed.text("to_value")});
  });
}

std::string write_constants_section(const std::vector<Constant>& constants) {
  Json list = Json::array();
  for (const Constant& constant : constants) list.push_back(to_json(constant));
  return json_text(list, section::kConstants);
}

std::vector<Constant> read_constants_section(std::string_view text, bool strict) {
  std::vector<Constant> constants;
  read_items(parse_section(text), "constant",
             [&](const Json& item) { constants.push_back(constant_from_json(item, strict)); });
  return constants;
}

}  // namespace tenon::plan
