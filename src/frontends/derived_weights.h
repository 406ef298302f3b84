#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tensor/recipe.h"
#include "tensor/weight_source.h"

namespace tenon::frontends {

// Weights made from those of other sources: shards joined, rows permuted, a delta added. The
// sources' own tensors are reached as "<source>/<name>"; weights() lists the made ones only.
class DerivedWeights : public WeightSource {
 public:
  // Sources are added before weights. `name` stands before the names of its tensors.
  void add_source(std::string name, std::shared_ptr<const WeightSource> source);
  // A recipe for a tensor of that source, with the names this source knows.
  Recipe part(const std::string& source, const WeightInfo& info) const;
  void add(std::string name, Recipe recipe);

  const std::vector<WeightInfo>& weights() const override { return weights_; }
  const WeightInfo* find(std::string_view name) const override;
  TensorView view(std::string_view name) const override;
  const Recipe* recipe_of(std::string_view name) const override;
  void verify_unchanged() const override;

 private:
  const WeightSource& source(std::string_view name) const;

  std::vector<std::pair<std::string, std::shared_ptr<const WeightSource>>> sources_;
  std::vector<WeightInfo> weights_;
  std::vector<Recipe> recipes_;                         // [weights]
  std::map<std::string, size_t, std::less<>> by_name_;  // indices of weights
};

}  // namespace tenon::frontends
