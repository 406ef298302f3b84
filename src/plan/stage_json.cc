#include "base/limits.h"
#include "plan/attribute_json.h"
#include "plan/enum_names.h"
#include "plan/json_fields.h"
#include "plan/plan_format.h"
#include "plan/plan_json.h"

namespace tenon::plan {
namespace {

using data::Json;

Json to_json(const Shape& shape) {
  Json list = Json::array();
  for (const Dim& dim : shape) {
    list.push_back(dim.is_constant() ? Json(dim.constant()) : Json(dim.to_string()));
  }
  return list;
}

Dim dim_from_json(const Json& json) {
  if (!json.is_string()) return Dim(json.as_int("shape"));
  try {
    return Dim::parse(json.as_string("shape"));
  } catch (const std::logic_error&) {  // of the standard library's number reader
    throw Error(ErrorCode::BadInput, "not a dimension").at("shape").got(json.as_string("shape"));
  }
}

Shape shape_from_json(const Json& json) {
  Shape shape;
  for (const Json& item : json.as_array("shape")) {
    if (shape.size() == static_cast<size_t>(kMaxRank)) {
      throw Error(ErrorCode::BadInput, "rank is too high").at("shape").accepted("at most 8");
    }
    shape.push_back(dim_from_json(item));
  }
  return shape;
}

Json to_json(const QuantSpec& quant) {
  Json json = Json::object();
  json.set("codes", dtype_name(quant.codes)).set("scales", dtype_name(quant.scales));
  json.set("axis", quant.axis).set("group", quant.group);
  json.set("zero_points", quant.zero_points).set("permuted", quant.permuted);
  json.set("clusters", to_json_list(quant.clusters));
  return json;
}

QuantSpec quant_from_json(const Json& json, bool strict) {
  JsonFields fields(json, strict,
                    {"codes", "scales", "axis", "group", "zero_points", "permuted", "clusters"});
  QuantSpec quant;
  quant.codes = dtype_from_text(fields.text("codes"));
  quant.scales = dtype_from_text(fields.text("scales"));
  quant.axis = fields.number<int>("axis");
  quant.group = fields.number("group");
  quant.zero_points = fields.at("zero_points").as_bool("zero_points");
  quant.permuted = fields.at("permuted").as_bool("permuted");
  for (const Json& item : fields.at("clusters").as_array("clusters")) {
    quant.clusters.push_back(item.as_int("clusters"));
  }
  return quant;
}

Json to_json(const ValueInfo& value) {
  Json json = Json::object();
  json.set("role", role_name(value.role)).set("dtype", dtype_name(value.type.dtype));
  json.set("shape", to_json(value.type.shape));
  if (value.type.quant) json.set("quant", to_json(*value.type.quant));
  json.set("names", to_json_list(value.names));
  if (value.constant != -1) json.set("constant", value.constant);
  if (value.first_step != -1) json.set("first_step", value.first_step);
  if (value.last_step != -1) json.set("last_step", value.last_step);
  return json;
}

ValueInfo value_from_json(const Json& json, bool strict) {
  JsonFields fields(
      json, strict,
      {"role", "dtype", "shape", "quant", "names", "constant", "first_step", "last_step"});
  ValueInfo value;
  value.role = role_from_text(fields.text("role"));
  value.type.dtype = dtype_from_text(fields.text("dtype"));
  value.type.shape = shape_from_json(fields.at("shape"));
  if (const Json* quant = fields.find("quant")) value.type.quant = quant_from_json(*quant, strict);
  value.names = fields.texts("names");
  if (fields.find("constant")) value.constant = fields.number<int32_t>("constant");
  if (fields.find("first_step")) value.first_step = fields.number<int32_t>("first_step");
  if (fields.find("last_step")) value.last_step = fields.number<int32_t>("last_step");
  return value;
}

Json to_json(const std::vector<Step>& steps);

Json to_json(const Step& step) {
  Json json = Json::object();
  json.set("op", step.op).set("version", step.version);
  json.set("attributes", attributes_to_json(step.attributes));
  json.set("inputs", to_json_list(step.inputs)).set("outputs", to_json_list(step.outputs));
  json.set("module", step.module).set("placement", placement_name(step.placement));
  if (step.regions.empty()) return json;
  Json regions = Json::array();
  for (const Region& region : step.regions) {
    Json body = Json::object();
    body.set("inputs", to_json_list(region.inputs)).set("outputs", to_json_list(region.outputs));
    body.set("steps", to_json(region.steps));
    regions.push_back(std::move(body));
  }
  json.set("regions", std::move(regions));
  return json;
}

Json to_json(const std::vector<Step>& steps) {
  Json list = Json::array();
  for (const Step& step : steps) list.push_back(to_json(step));
  return list;
}

std::vector<Step> steps_from_json(const Json& json, bool strict, int depth);

Region region_from_json(const Json& json, bool strict, int depth) {
  if (depth > kLimits.region_depth) {
    throw Error(ErrorCode::BadInput, "regions are nested too deep")
        .accepted("at most " + std::to_string(kLimits.region_depth));
  }
  JsonFields fields(json, strict, {"inputs", "outputs", "steps"});
  return {fields.indices("inputs"), fields.indices("outputs"),
          steps_from_json(fields.at("steps"), strict, depth)};
}

Step step_from_json(const Json& json, bool strict, int depth) {
  JsonFields fields(
      json, strict,
      {"op", "version", "attributes", "inputs", "outputs", "module", "placement", "regions"});
  Step step;
  step.op = fields.text("op");
  step.version = fields.number<int>("version");
  step.attributes = attributes_from_json(fields.at("attributes"));
  step.inputs = fields.indices("inputs");
  step.outputs = fields.indices("outputs");
  step.module = fields.text("module");
  step.placement = placement_from_text(fields.text("placement"));
  if (const Json* regions = fields.find("regions")) {
    read_items(*regions, "region", [&](const Json& item) {
      step.regions.push_back(region_from_json(item, strict, depth + 1));
    });
  }
  return step;
}

std::vector<Step> steps_from_json(const Json& json, bool strict, int depth) {
  std::vector<Step> steps;
  read_items(json, "step",
             [&](const Json& item) { steps.push_back(step_from_json(item, strict, depth)); });
  return steps;
}

Json to_json(const Stage& stage) {
  Json symbols = Json::array(), values = Json::array();
  for (const SymbolRange& symbol : stage.symbols) {
    Json range = Json::object();
    range.set("name", symbol.name).set("least", symbol.least).set("most", symbol.most);
    symbols.push_back(std::move(range));
  }
  for (const ValueInfo& value : stage.values) values.push_back(to_json(value));
  Json json = Json::object();
  json.set("name", stage.name).set("ranks", stage.ranks).set("symbols", std::move(symbols));
  json.set("inputs", to_json_list(stage.inputs)).set("outputs", to_json_list(stage.outputs));
  json.set("states", to_json_list(stage.states));
  json.set("values", std::move(values)).set("steps", to_json(stage.steps));
  return json;
}

Stage stage_from_json(const Json& json, bool strict) {
  JsonFields fields(json, strict,
                    {"name", "ranks", "symbols", "inputs", "outputs", "states", "values", "steps"});
  Stage stage;
  stage.name = fields.text("name");
  stage.ranks = fields.number<int>("ranks");
  read_items(fields.at("symbols"), "symbol", [&](const Json& item) {
    JsonFields range(item, strict, {"name", "least", "most"});
    stage.symbols.push_back({range.text("name"), range.number("least"), range.number("most")});
  });
  stage.inputs = fields.indices("inputs");
  stage.outputs = fields.indices("outputs");
  stage.states = fields.indices("states");
  read_items(fields.at("values"), "value",
             [&](const Json& item) { stage.values.push_back(value_from_json(item, strict)); });
  stage.steps = steps_from_json(fields.at("steps"), strict, 0);
  return stage;
}

}  // namespace

std::string write_stages_section(const std::vector<Stage>& stages) {
  Json list = Json::array();
  for (const Stage& stage : stages) list.push_back(to_json(stage));
  return json_text(list, section::kStages);
}

std::vector<Stage> read_stages_section(std::string_view text, bool strict) {
  std::vector<Stage> stages;
  Json list = parse_section(text);
  read_items(list, "stage",
             [&](const Json& item) { stages.push_back(stage_from_json(item, strict)); });
  return stages;
}

}  // namespace tenon::plan
