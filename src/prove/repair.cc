#include "prove/repair.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "ops/kv_cache.h"
#include "ops/linear.h"
#include "ops/quantised_linear.h"

namespace tenon::prove {
namespace {

// What names the step's arithmetic to the precision pass.
std::string handle_of(const plan::Stage& stage, const ComparedTensor& tensor) {
  const plan::Step& step = stage.steps[tensor.step];
  if (step.op == ops::Linear::kName && step.inputs.size() > 1 && step.inputs[1] >= 0) {
    const auto& names = stage.values[step.inputs[1]].names;
    if (!names.empty()) return names[0];
  }
  // Its codes carry the weight's own name after theirs.
  if (step.op == ops::QuantisedLinear::kName && step.inputs.size() > 1 && step.inputs[1] >= 0) {
    const auto& names = stage.values[step.inputs[1]].names;
    if (names.size() > 1) return names[1];
  }
  // Attention multiplies q with the cache, in the cache's type.
  bool caches = step.op == ops::PagedAttention::kName || step.op == ops::RopeKvAppend::kName;
  if (caches) {
    const auto& names = stage.values[step.inputs.back()].names;
    if (!names.empty()) return names[0];
  }
  return tensor.name;
}

RepairStep raise(const plan::Stage& stage, const ComparedTensor& tensor, DType precision) {
  bool overflow = tensor.own.nonfinite > 0;
  std::string own =
      "own error " + format_double(tensor.own.relative_norm) + " of the tensor's norm";
  // Codes lose far more than 16 bits do: the weight as the plan would keep it is the next step up.
  const plan::Step& step = stage.steps[tensor.step];
  if (step.op == ops::QuantisedLinear::kName && !overflow) {
    DType codes = stage.values[step.inputs[1]].type.dtype;
    return {handle_of(stage, tensor), tensor.module, codes, precision, own};
  }
  bool to_bf16 = overflow && precision == DType::F16;
  return {
      .name = handle_of(stage, tensor),
      .module = tensor.module,
      .from = precision,
      .to = to_bf16 ? DType::BF16 : DType::F32,
      .reason = overflow ? std::to_string(tensor.own.nonfinite) + " values are not finite" : own};
}

}  // namespace

Repair suggest_repair(const plan::Stage& stage, const TensorComparison& comparison, DType precision,
                      double wanted_share) {
  Repair repair;
  bool quantised = std::any_of(stage.steps.begin(), stage.steps.end(), [](const auto& step) {
    return step.op == ops::QuantisedLinear::kName;
  });
  if (precision == DType::F32 && !quantised) {
    repair.note = "the plan is f32 already: a step that stands out is wrong, not rounded";
    return repair;
  }
  if (wanted_share >= 1) {
    repair.note = "the plan is within its budget";
    return repair;
  }
  std::vector<const ComparedTensor*> order;
  double left = 0;
  for (const ComparedTensor& tensor : comparison.tensors) {
    order.push_back(&tensor);
    if (tensor.own.nonfinite == 0) left += tensor.own.relative_norm * tensor.own.relative_norm;
  }
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    bool broken_a = a->own.nonfinite > 0, broken_b = b->own.nonfinite > 0;
    if (broken_a != broken_b) return broken_a;
    return !broken_a && a->own.relative_norm > b->own.relative_norm;
  });
  double allowed = wanted_share * left;
  for (const ComparedTensor* tensor : order) {
    bool broken = tensor->own.nonfinite > 0;
    if (!broken && left <= allowed) break;
    RepairStep step = raise(stage, *tensor, precision);
    bool known = std::any_of(repair.steps.begin(), repair.steps.end(),
                             [&](const RepairStep& other) { return other.name == step.name; });
    if (!known) repair.steps.push_back(std::move(step));
    if (!broken) left -= tensor->own.relative_norm * tensor->own.relative_norm;
  }
  repair.note = "an estimate from each step's own error: the gate of the build decides";
  return repair;
}

data::Json to_json(const Repair& repair) {
  data::Json types = data::Json::array();
  for (const RepairStep& step : repair.steps) {
    data::Json entry = data::Json::object();
    entry.set("name", step.name).set("dtype", dtype_name(step.to)).set("module", step.module);
    types.push_back(std::move(entry.set("reason", step.reason)));
  }
  data::Json json = data::Json::object();
  json.set("types", std::move(types)).set("note", repair.note);
  return json;
}

}  // namespace tenon::prove
