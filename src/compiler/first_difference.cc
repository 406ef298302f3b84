#include "compiler/first_difference.h"

#include <algorithm>
#include <map>

#include "compiler/check_run.h"
#include "metrics/error_stats.h"

namespace tenon::compiler {
namespace {

constexpr size_t kTokens = 16;
constexpr size_t kGoldenTokens = 4096;

// The relative error of one rounding to the type.
double unit_roundoff(DType precision) {
  if (precision == DType::BF16) return 1.0 / 256;
  if (precision == DType::F16) return 1.0 / 2048;
  return 1e-7;
}

using Captured = std::map<std::string, Tensor>;

std::string name_of(const plan::Stage& stage, size_t step, size_t output) {
  const auto& names = stage.values[stage.steps[step].outputs[output]].names;
  return names.empty() ? "" : names[0];
}

Captured capture(runtime::Session& session, const CheckData& data) {
  Captured captured;
  const plan::Stage& stage = session.stage("decoder").stage();
  run_check(session, data, [&](size_t step, std::span<const TensorView> outputs) {
    for (size_t i = 0; i < outputs.size(); ++i) {
      std::string name = name_of(stage, step, i);
      if (!name.empty() && is_float(outputs[i].dtype)) captured.emplace(name, make_f32(outputs[i]));
    }
    return false;
  });
  return captured;
}

TensorDifference compare(const std::string& name, const TensorView& got, const Tensor& reference) {
  Tensor values = make_f32(got);
  size_t count = static_cast<size_t>(values.count());
  metrics::ErrorStats stats =
      metrics::compare({values.as<float>(), count}, {reference.as<float>(), count});
  return {name, stats.relative_norm, stats.nonfinite};
}

// The first tensor whose own error stands out: not finite, or 5 times the median of all, and more
// than a few roundings.
int first_outlier(const std::vector<TensorDifference>& tensors, DType precision) {
  std::vector<double> errors;
  for (const TensorDifference& tensor : tensors) errors.push_back(tensor.relative_norm);
  if (errors.empty()) return -1;
  std::nth_element(errors.begin(), errors.begin() + static_cast<std::ptrdiff_t>(errors.size() / 2),
                   errors.end());
  double limit = std::max(5 * errors[errors.size() / 2], 2 * unit_roundoff(precision));
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].nonfinite > 0 || !(tensors[i].relative_norm <= limit))
      return static_cast<int>(i);
  }
  return -1;
}

// After each step the tensor is compared and then replaced by the reference, so that every error is
// the step's own: it neither hides behind nor spreads from those before it.
Differences compare_run(runtime::Session& plan, const CheckData& data, const Captured& reference,
                        DType precision) {
  Differences differences;
  const plan::Stage& stage = plan.stage("decoder").stage();
  run_check(plan, data, [&](size_t step, std::span<const TensorView> outputs) {
    bool changed = false;
    for (size_t i = 0; i < outputs.size(); ++i) {
      auto found = reference.find(name_of(stage, step, i));
      if (found == reference.end() || !(found->second.extents() == outputs[i].extents)) continue;
      differences.tensors.push_back(compare(found->first, outputs[i], found->second));
      copy_convert(found->second, outputs[i]);
      changed = true;
    }
    return changed;
  });
  differences.first_bad = first_outlier(differences.tensors, precision);
  return differences;
}

}  // namespace

Differences find_first_difference(runtime::Session& plan, runtime::Session& oracle,
                                  const CheckData& data, DType precision) {
  CheckData first = first_sequence(data, kTokens);
  Captured reference = capture(oracle, first);
  return compare_run(plan, first, reference, precision);
}

Differences find_first_golden_difference(runtime::Session& plan, const CheckData& data,
                                         DType precision) {
  CheckData all = first_sequence(data, kGoldenTokens);
  Captured reference;
  for (size_t i = 0; i < data.layers.size(); ++i) {
    TensorView view = data.layers[i].view();
    int64_t tokens = static_cast<int64_t>(all.ids.size());
    if (view.rank() < 2 || view.extents[0] < tokens) continue;
    reference.emplace(data.layer_names[i], make_f32(view.slice(0, 0, tokens)));
  }
  return compare_run(plan, all, reference, precision);
}

}  // namespace tenon::compiler
