#include "frontends/derived_weights.h"

namespace tenon::frontends {

void DerivedWeights::add_source(std::string name, std::shared_ptr<const WeightSource> source) {
  sources_.emplace_back(std::move(name), std::move(source));
}

const WeightSource& DerivedWeights::source(std::string_view name) const {
  for (const auto& [key, source] : sources_) {
    if (key == name) return *source;
  }
  throw Error(ErrorCode::BadInput, "no such source of weights").got(name);
}

Recipe DerivedWeights::part(const std::string& from, const WeightInfo& info) const {
  const Recipe* made = source(from).recipe_of(info.name);
  return (made ? *made : Recipe::source(info)).prefixed(from + "/");
}

void DerivedWeights::add(std::string name, Recipe recipe) {
  bool is_new = by_name_.emplace(name, weights_.size()).second;
  if (!is_new) throw Error(ErrorCode::BadInput, "weight is made twice").got(name);
  weights_.push_back({std::move(name), recipe.dtype(), recipe.extents()});
  recipes_.push_back(std::move(recipe));
}

const WeightInfo* DerivedWeights::find(std::string_view name) const {
  auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : &weights_[at->second];
}

const Recipe* DerivedWeights::recipe_of(std::string_view name) const {
  auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : &recipes_[at->second];
}

TensorView DerivedWeights::view(std::string_view name) const {
  size_t slash = name.find('/');
  if (slash != name.npos) return source(name.substr(0, slash)).view(name.substr(slash + 1));
  Error error(ErrorCode::BadInput, "weight is made by a recipe, and lies in no file as it is");
  throw error.got(name);
}

void DerivedWeights::verify_unchanged() const {
  for (const auto& [name, source] : sources_) source->verify_unchanged();
}

}  // namespace tenon::frontends
