#include "prove/tensor_compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <set>

#include "compiler/check_run.h"
#include "ops/quantised_linear.h"

namespace tenon::prove {
namespace {

// How far above its peers a step's own error may be.
constexpr double kOutlier = 5;
// Steps of one kind that make a median of their own; fewer are measured by all tensors'.
constexpr size_t kPeers = 3;

// The relative error of one rounding to the type.
double unit_roundoff(DType precision) {
  if (precision == DType::BF16) return 1.0 / 256;
  if (precision == DType::F16) return 1.0 / 2048;
  return 1e-7;
}

// What rounding explains at most, whatever a step's peers have: where a constant of the model or a
// kernel is wrong, all steps of a kind are, and none stands out. Sound steps have a hundredth of
// it.
double most_explained(DType precision) {
  return precision == DType::F32 ? 1e-4 : 64 * unit_roundoff(precision);
}

std::string name_of(const plan::Stage& stage, size_t step, size_t output) {
  const auto& names = stage.values[stage.steps[step].outputs[output]].names;
  return names.empty() ? "" : names[0];
}

metrics::ErrorStats error_of(const TensorView& got, const Tensor& reference) {
  Tensor values = make_f32(got);
  auto count = static_cast<size_t>(values.count());
  return metrics::compare({values.as<float>(), count}, {reference.as<float>(), count});
}

// The reference as the plan's steps see it. Linears that were packed into one (q, k and v; gate and
// up) carry the names of their parts: what they write is the parts' outputs side by side.
class Wanted {
 public:
  Wanted(const plan::Stage& stage, const ReferenceTensors& reference) : reference_(reference) {
    for (const plan::Step& step : stage.steps) {
      for (int32_t output : step.outputs) pack(stage.values[output].names);
    }
  }

  // Where the reference has the tensor in the same size; else nullptr.
  const Tensor* find(const std::string& name, const TensorView& view) const {
    auto found = reference_.tensors.find(name);
    if (found == reference_.tensors.end()) {
      found = packed_.find(name);
      if (found == packed_.end()) return nullptr;
    }
    return is_float(view.dtype) && found->second.extents() == view.extents ? &found->second
                                                                           : nullptr;
  }
  bool is_part(const std::string& name) const { return parts_.count(name) > 0; }

 private:
  void pack(const std::vector<std::string>& names) {
    if (names.size() < 3 || reference_.tensors.count(names[0])) return;
    int64_t rows = 0, columns = 0;
    for (size_t i = 1; i < names.size(); ++i) {
      auto part = reference_.tensors.find(names[i]);
      if (part == reference_.tensors.end() || part->second.view().rank() != 2) return;
      if (i > 1 && part->second.extents()[0] != rows) return;
      rows = part->second.extents()[0];
      columns += part->second.extents()[1];
    }
    Tensor whole = Tensor::make(DType::F32, {rows, columns});
    for (int64_t begin = 0, i = 1; i < static_cast<int64_t>(names.size()); ++i) {
      const Tensor& part = reference_.tensors.at(names[i]);
      int64_t end = begin + part.extents()[1];
      copy_convert(part, whole.view().slice(1, begin, end));
      begin = end;
      parts_.insert(names[i]);
    }
    packed_.emplace(names[0], std::move(whole));
  }

  const ReferenceTensors& reference_;
  std::map<std::string, Tensor> packed_;
  std::set<std::string> parts_;
};

double median(std::vector<double> values) {
  auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Rounding differs by kind of step (attention's depends on how sharp it is), so a step is held
// against its kind where that has members enough.
void set_limits(std::vector<ComparedTensor>& tensors, DType precision) {
  std::map<std::string, std::vector<double>> by_op;
  std::vector<double> all;
  for (const ComparedTensor& tensor : tensors) {
    by_op[tensor.op].push_back(tensor.own.relative_norm);
    all.push_back(tensor.own.relative_norm);
  }
  double roundings = 2 * unit_roundoff(precision);
  for (ComparedTensor& tensor : tensors) {
    const std::vector<double>& peers = by_op[tensor.op];
    double usual = median(peers.size() >= kPeers ? peers : all);
    tensor.limit = std::max(kOutlier * usual, roundings);
    // Weights of few bits cost what they cost.
    if (tensor.op != ops::QuantisedLinear::kName)
      tensor.limit = std::min(tensor.limit, most_explained(precision));
    tensor.excess = tensor.own.nonfinite > 0 || std::isnan(tensor.own.relative_norm)
                        ? std::numeric_limits<double>::infinity()
                        : tensor.own.relative_norm / tensor.limit;
  }
}

void rank(TensorComparison& comparison) {
  const std::vector<ComparedTensor>& tensors = comparison.tensors;
  comparison.ranking.resize(tensors.size());
  std::iota(comparison.ranking.begin(), comparison.ranking.end(), 0);
  std::stable_sort(comparison.ranking.begin(), comparison.ranking.end(),
                   [&](size_t a, size_t b) { return tensors[a].excess > tensors[b].excess; });
  for (size_t i = 0; i < tensors.size() && comparison.first_offender < 0; ++i) {
    if (tensors[i].excess > 1) comparison.first_offender = static_cast<int>(i);
  }
}

// Bound to what the sizes of the data ask for.
SymbolValues sizes_of(const compiler::CheckData& data) {
  auto tokens = static_cast<int64_t>(data.ids.size());
  return {{"tokens", tokens},
          {"seqs", static_cast<int64_t>(data.seq_offsets.size()) - 1},
          {"rows", static_cast<int64_t>(data.logit_rows.size())},
          {"embed_rows", 0},
          {"max_blocks", 1}};
}

std::vector<std::string> implementations_of(const std::vector<runtime::StepChoice>& choices) {
  std::vector<std::string> names;
  for (const runtime::StepChoice& choice : choices) {
    names.push_back(choice.device + " " + choice.implementation + " " + choice.variant);
  }
  return names;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.extents() == b.extents() &&
         std::memcmp(a.view().data, b.view().data, a.view().byte_span().size()) == 0;
}

}  // namespace

ReferenceTensors capture_tensors(runtime::StageRunner& decoder, const compiler::CheckData& data) {
  ReferenceTensors captured;
  const plan::Stage& stage = decoder.stage();
  compiler::run_check(decoder, data, [&](size_t step, std::span<const TensorView> outputs) {
    for (size_t i = 0; i < outputs.size(); ++i) {
      std::string name = name_of(stage, step, i);
      if (name.empty() || !is_float(outputs[i].dtype)) continue;
      if (captured.tensors.emplace(name, make_f32(outputs[i])).second) {
        captured.order.push_back(name);
      }
    }
    return false;
  });
  return captured;
}

ReferenceTensors golden_tensors(const compiler::CheckData& data, int64_t tokens) {
  ReferenceTensors golden;
  for (size_t i = 0; i < data.layers.size(); ++i) {
    TensorView view = data.layers[i].view();
    if (view.rank() < 2 || view.extents[0] < tokens) continue;
    golden.tensors.emplace(data.layer_names[i], make_f32(view.slice(0, 0, tokens)));
    golden.order.push_back(data.layer_names[i]);
  }
  return golden;
}

TensorComparison compare_tensors(runtime::StageRunner& plan, const compiler::CheckData& data,
                                 const ReferenceTensors& reference, DType precision) {
  TensorComparison comparison;
  const plan::Stage& stage = plan.stage();
  Wanted wanted_tensors(stage, reference);
  Tensor alone = compiler::run_check(plan, data);
  std::vector<std::string> before = implementations_of(plan.choices(sizes_of(data)));

  std::map<std::string, metrics::ErrorStats> accumulated;
  Tensor observed =
      compiler::run_check(plan, data, [&](size_t step, std::span<const TensorView> outputs) {
        for (size_t i = 0; i < outputs.size(); ++i) {
          std::string name = name_of(stage, step, i);
          const Tensor* wanted = wanted_tensors.find(name, outputs[i]);
          if (wanted) accumulated[name] = error_of(outputs[i], *wanted);
        }
        return false;
      });
  std::vector<runtime::StepChoice> choices = plan.choices(sizes_of(data));
  comparison.fusion_unchanged = same_bits(alone, observed) && before == implementations_of(choices);

  compiler::run_check(plan, data, [&](size_t step, std::span<const TensorView> outputs) {
    bool changed = false;
    for (size_t i = 0; i < outputs.size(); ++i) {
      std::string name = name_of(stage, step, i);
      const Tensor* wanted = wanted_tensors.find(name, outputs[i]);
      if (!wanted) continue;
      comparison.tensors.push_back({.name = name,
                                    .step = step,
                                    .op = stage.steps[step].op,
                                    .module = stage.steps[step].module,
                                    .implementation = choices[step].implementation,
                                    .device = choices[step].device,
                                    .dtype = outputs[i].dtype,
                                    .own = error_of(outputs[i], *wanted),
                                    .accumulated = accumulated[name]});
      copy_convert(*wanted, outputs[i]);
      changed = true;
    }
    return changed;
  });
  if (comparison.tensors.empty()) return comparison;
  set_limits(comparison.tensors, precision);
  rank(comparison);
  for (const std::string& name : reference.order) {
    if (!accumulated.count(name) && !wanted_tensors.is_part(name))
      comparison.not_observable.push_back(name);
  }
  return comparison;
}

}  // namespace tenon::prove
