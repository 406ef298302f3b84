#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/view.h"
#include "tensor/dtype.h"
#include "tensor/extents.h"

namespace tenon::cli {

// A weight as the layer tree shows it.
struct WeightFact {
  std::string name;  // "model.layers.0.mlp.down_proj.weight": dots make the tree
  DType dtype = DType::F32;
  Extents extents;
  int64_t parameters = 0;  // 0 where it is computed, not trained
  int64_t bytes = 0;
};

// The module tree with parameters, bytes and types. Neighbours with numbers for names and the same
// insides ("0" to "31") are shown once.
View layer_tree(const std::vector<WeightFact>& weights);

}  // namespace tenon::cli
