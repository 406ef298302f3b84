#include "compiler/first_difference.h"

#include <algorithm>
#include <map>

#include "compiler/check_run.h"
#include "metrics/error_stats.h"

namespace tenon::compiler {
namespace {

constexpr size_t kTokens = 16;
constexpr size_t kGoldenTokens = 4096;

// What rounding alone may add between two neighbouring tensors.
double rounding_floor(DType precision) {
  if (precision == DType::BF16) return 2e-2;
  if (precision == DType::F16) return 3e-3;
  return 1e-5;
}

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
  });
  return captured;
}

TensorDifference compare(const std::string& name, const TensorView& got, const Tensor& reference) {
  Tensor values = make_f32(got);
  size_t count = static_cast<size_t>(values.count());
  metrics::ErrorStats stats = metrics::compare({values.as<float>(), count}, {reference.as<float>(), count});
  return {name, stats.relative_norm, stats.nonfinite};
}

// The first tensor whose error leaps: 5 times everything before it, and above rounding. Where none
// does, the largest leap of at least twice: a small fault hides among roundings.
int first_leap(const std::vector<TensorDifference>& tensors, DType precision) {
  double worst_before = 0, largest_ratio = 2;
  int largest = -1;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorDifference& tensor = tensors[i];
    if (tensor.nonfinite > 0 || !(tensor.relative_norm <= std::max(5 * worst_before, rounding_floor(precision)))) {
      return static_cast<int>(i);
    }
    double ratio = tensor.relative_norm / std::max(worst_before, unit_roundoff(precision));
    if (ratio > largest_ratio) {
      largest_ratio = ratio;
      largest = static_cast<int>(i);
    }
    worst_before = std::max(worst_before, tensor.relative_norm);
  }
  return largest;
}

Differences compare_run(runtime::Session& plan, const CheckData& data, const Captured& reference, DType precision) {
  Differences differences;
  const plan::Stage& stage = plan.stage("decoder").stage();
  run_check(plan, data, [&](size_t step, std::span<const TensorView> outputs) {
    for (size_t i = 0; i < outputs.size(); ++i) {
      auto found = reference.find(name_of(stage, step, i));
      if (found == reference.end() || !(found->second.extents() == outputs[i].extents)) continue;
      differences.tensors.push_back(compare(found->first, outputs[i], found->second));
    }
  });
  differences.first_bad = first_leap(differences.tensors, precision);
  return differences;
}

}  // namespace

Differences find_first_difference(runtime::Session& plan, runtime::Session& oracle, const CheckData& data,
                                  DType precision) {
  CheckData first = first_sequence(data, kTokens);
  Captured reference = capture(oracle, first);
  return compare_run(plan, first, reference, precision);
}

Differences find_first_golden_difference(runtime::Session& plan, const CheckData& data, DType precision) {
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
