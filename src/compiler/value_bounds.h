#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "tensor/weight_source.h"

namespace tenon::compiler {

// What the weights prove about the size of a graph's values, whatever its inputs are. A norm's
// output has an RMS of at most 1 before its gain, so the products of it are bounded by the norms of
// their rows; rotation, attention and selection keep a bound. The residual stream has none.
//
// Weights are read once for each question that needs them. The graph is the imported one: before
// fusion every value has its own node and its own weights.
class ValueBounds {
 public:
  ValueBounds(const ir::Graph& graph, const WeightSource& weights)
      : graph_(graph), weights_(weights) {}

  // No element of the value is larger in magnitude; infinite where nothing is proven.
  double of(ir::ValueId id);
  // Of everything the appends write into the state.
  double of_state(ir::ValueId state);

 private:
  double compute(ir::ValueId id);
  double of_norm(const ir::Node& node);
  double of_linear(const ir::Node& node);
  // A constant as f32, e.g. the gain of a norm; empty where it is no constant.
  std::vector<float> constant(ir::ValueId id) const;

  const ir::Graph& graph_;
  const WeightSource& weights_;
  std::map<ir::ValueId, double> known_, known_states_;
};

// What rounding a weight to f16 does to it.
struct HalfWeight {
  double largest = 0;         // magnitude
  double relative_error = 0;  // |w - f16(w)| / |w|, as norms
};
HalfWeight measure_half_weight(const Recipe& recipe, const WeightSource& weights);

}  // namespace tenon::compiler
