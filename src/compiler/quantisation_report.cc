#include "compiler/quantisation_report.h"

#include <algorithm>

namespace tenon::compiler {
namespace {

struct Loss {
  std::string weight;
  QuantisationError error;
};

bool is_part(const Recipe& recipe) {
  return recipe.kind() == Recipe::Kind::Quantise;
}

Loss measure(const plan::Constant& constant, const Recipe& codes, const WeightSource& source) {
  Tensor weight = codes.parts()[0].evaluate(source);
  OwnedQuantisedWeight quantised = round_to_nearest(weight, codes.quant_spec());
  std::string name = constant.name;
  constexpr std::string_view kSuffix = ".codes";
  if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
  return {name, measure_error(weight, codes.quant_spec(), quantised.view())};
}

data::Json to_json(const std::vector<Loss>& losses) {
  data::Json layers = data::Json::array();
  for (const Loss& loss : losses) {
    data::Json entry = data::Json::object();
    entry.set("weight", loss.weight).set("relative_norm", loss.error.relative_norm);
    entry.set("largest", loss.error.largest);
    layers.push_back(std::move(entry));
  }
  return layers;
}

}  // namespace

data::Json quantisation_report(const LoweredPlan& lowered, const WeightSource& weights) {
  std::vector<Loss> losses;
  int64_t bytes = 0, source_bytes = 0, elements = 0;
  for (size_t i = 0; i < lowered.recipes.size(); ++i) {
    const Recipe& recipe = lowered.recipes[i];
    if (!is_part(recipe)) continue;
    bytes += recipe.bytes();
    if (recipe.quant_part() != QuantPart::Codes) continue;
    source_bytes += recipe.parts()[0].bytes();
    elements += recipe.parts()[0].extents().count();
    losses.push_back(measure(lowered.plan.constants[i], recipe, weights));
  }
  std::stable_sort(losses.begin(), losses.end(), [](const Loss& a, const Loss& b) {
    return a.error.relative_norm > b.error.relative_norm;
  });
  data::Json json = data::Json::object();
  json.set("weights", static_cast<int64_t>(losses.size())).set("elements", elements);
  json.set("bytes", bytes).set("source_bytes", source_bytes);
  if (losses.empty()) return json.set("layers", to_json(losses));
  json.set("bits_per_weight", 8 * static_cast<double>(bytes) / static_cast<double>(elements));
  json.set("median_error", losses[losses.size() / 2].error.relative_norm);
  json.set("largest_error", losses[0].error.relative_norm);
  return json.set("layers", to_json(losses));
}

}  // namespace tenon::compiler
