#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/ranges.h"
#include "ir/graph.h"
#include "tensor/weight_source.h"

namespace tenon::compiler {

// A value, weight or state that gets another type than the plan's precision, and why.
struct TypeChoice {
  std::string name;
  DType dtype = DType::F32;
  std::string reason;  // without figures: those may differ in the last digit between machines
};

// Which of a 16-bit plan's values get another type:
// - f16 plans: what comes near f16's limit on the check data, and is not proven by the weights to
//   stay below it, is multiplied in bf16 where the checkpoint's weight is bf16 (nothing of it is
//   lost), else in f32. So are products whose weights f16 cannot hold.
// - bf16 plans: caches, and products over norms with outlier gains that attention reads, are f16
//   where the weights prove that nothing there can overflow: eight times finer at no cost.
// `ranges` may be empty (no gate ran the check data): f16 plans then keep f16.
std::vector<TypeChoice> choose_types(DType precision, const ir::Graph& graph,
                                     const WeightSource& weights,
                                     const std::vector<TensorRange>& ranges);

std::map<std::string, DType> type_map(const std::vector<TypeChoice>& choices);
data::Json to_json(const std::vector<TypeChoice>& choices);

}  // namespace tenon::compiler
