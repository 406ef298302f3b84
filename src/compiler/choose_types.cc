#include "compiler/choose_types.h"

#include <algorithm>
#include <cmath>

#include "compiler/value_bounds.h"
#include "ops/gather_rows.h"
#include "ops/kv_cache.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/slice.h"

namespace tenon::compiler {
namespace {

// Check data are a few prompts; others may reach further by this factor.
constexpr double kHeadroom = 4;
// Of a proof: the bound itself holds for exact arithmetic.
constexpr double kProvenBelow = kLargestHalf / 2;
// An 11-bit rounding is 2^-12.4 as a norm; a weight that loses four times that has lost small
// numbers to f16's narrow range.
constexpr double kMostWeightError = 1.0 / (1 << 10);
// Largest gain over the RMS of all: trained models with outlier channels show 10 to 30.
constexpr double kOutlierGain = 8;

const std::string& name_of(const ir::Graph& graph, ir::ValueId id) {
  static const std::string kNone;
  return graph.value(id).names.empty() ? kNone : graph.value(id).names[0];
}

bool is_source(const ir::Value& value, DType dtype) {
  return value.recipe && value.recipe->dtype() == dtype;
}

class HalfGuard {
 public:
  HalfGuard(const ir::Graph& graph, const WeightSource& weights,
            const std::vector<TensorRange>& ranges)
      : graph_(graph), weights_(weights), bounds_(graph, weights) {
    for (const TensorRange& range : ranges) {
      double& largest = largest_[range.name];
      // An infinity in f32 is no matter of f16; it is as far from it as can be.
      largest = std::max(largest, range.nonfinite > 0 ? HUGE_VAL : range.largest);
    }
  }

  std::vector<TypeChoice> run() {
    if (largest_.empty()) return {};
    for (const ir::Node& node : graph_.nodes()) {
      if (node.op == ops::Linear::kName) check_linear(node);
      if (node.op == ops::KvAppend::kName) check_cache(node);
    }
    return std::move(choices_);
  }

 private:
  bool is_near_limit(ir::ValueId id) {
    auto found = largest_.find(name_of(graph_, id));
    if (found == largest_.end() || found->second * kHeadroom <= kLargestHalf) return false;
    return bounds_.of(id) > kProvenBelow;
  }

  void check_linear(const ir::Node& node) {
    const ir::Value& weight = graph_.value(node.inputs[1]);
    DType safe = is_source(weight, DType::BF16) ? DType::BF16 : DType::F32;
    if (is_near_limit(node.outputs[0])) {
      add(name_of(graph_, node.outputs[0]), DType::F32, "comes near f16's limit on the check data");
    }
    if (is_near_limit(node.inputs[0])) {
      add(name_of(graph_, node.inputs[0]), safe, "comes near f16's limit on the check data");
      // By name: the type of the product must not depend on which linear reads the value first.
      add(name_of(graph_, node.inputs[1]), safe, "multiplies a value near f16's limit");
    } else if (weight.recipe && !is_source(weight, DType::F16)) {
      HalfWeight half = measure_half_weight(*weight.recipe, weights_);
      if (half.largest > kLargestHalf || half.relative_error > kMostWeightError) {
        add(name_of(graph_, node.inputs[1]), safe, "its weights lose too much in f16");
      }
    }
  }

  void check_cache(const ir::Node& node) {
    if (!is_near_limit(node.inputs[0]) && !is_near_limit(node.inputs[1])) return;
    add(name_of(graph_, node.inputs.back()), DType::BF16,
        "keys or values come near f16's limit on the check data");
  }

  void add(const std::string& name, DType dtype, const char* reason) {
    bool known = std::any_of(choices_.begin(), choices_.end(),
                             [&](const TypeChoice& choice) { return choice.name == name; });
    if (!known && !name.empty()) choices_.push_back({name, dtype, reason});
  }

  const ir::Graph& graph_;
  const WeightSource& weights_;
  ValueBounds bounds_;
  std::map<std::string, double> largest_;
  std::vector<TypeChoice> choices_;
};

class FinerBf16 {
 public:
  FinerBf16(const ir::Graph& graph, const WeightSource& weights)
      : graph_(graph), weights_(weights), bounds_(graph, weights) {}

  std::vector<TypeChoice> run() {
    for (ir::ValueId state : graph_.states()) check_cache(state);
    for (const ir::Node& node : graph_.nodes()) {
      if (node.op == ops::RmsNorm::kName || node.op == ops::LayerNorm::kName) check_norm(node);
    }
    return std::move(choices_);
  }

 private:
  void check_cache(ir::ValueId state) {
    if (bounds_.of_state(state) > kProvenBelow) return;
    for (const ir::Node& node : graph_.nodes()) {
      bool reads = node.op == ops::PagedAttention::kName && node.inputs.back() == state;
      // q has the cache's type.
      if (reads && bounds_.of(node.inputs[0]) > kProvenBelow) return;
    }
    choices_.push_back({name_of(graph_, state), DType::F16, "proven to fit f16 by the weights"});
  }

  bool has_outliers(ir::ValueId gain) const {
    const ir::Value& value = graph_.value(gain);
    if (!value.recipe || value.type.quant) return false;
    Tensor values = make_f32(value.recipe->evaluate(weights_).view());
    double squares = 0, most = 0;
    for (int64_t i = 0; i < values.count(); ++i) {
      double gain_of_channel = values.as<float>()[i];
      squares += gain_of_channel * gain_of_channel;
      most = std::max(most, std::fabs(gain_of_channel));
    }
    return most > kOutlierGain * std::sqrt(squares / static_cast<double>(values.count()));
  }

  // Whether a value goes to attention and nowhere else.
  bool is_for_attention(ir::ValueId id) const {
    if (graph_.is_output(id) || graph_.users(id).empty()) return false;
    for (ir::NodeId user : graph_.users(id)) {
      const ir::Node& node = graph_.node(user);
      if (node.op == ops::KvAppend::kName || node.op == ops::PagedAttention::kName) continue;
      bool passes_on = node.op == ops::Rope::kName || node.op == ops::Slice::kName;
      if (!passes_on || !is_for_attention(node.outputs[0])) return false;
    }
    return true;
  }

  bool fits(const ir::Node& linear) {
    const ir::Value& weight = graph_.value(linear.inputs[1]);
    if (!weight.recipe || weight.type.quant || bounds_.of(linear.outputs[0]) > kProvenBelow)
      return false;
    HalfWeight half = measure_half_weight(*weight.recipe, weights_);
    return half.largest <= kLargestHalf && half.relative_error <= kMostWeightError;
  }

  void check_norm(const ir::Node& node) {
    ir::ValueId y = node.outputs[0];
    if (graph_.is_output(y) || graph_.users(y).empty() || !has_outliers(node.inputs[1])) return;
    if (bounds_.of(y) > kProvenBelow) return;
    for (ir::NodeId user : graph_.users(y)) {
      const ir::Node& linear = graph_.node(user);
      if (linear.op != ops::Linear::kName || !is_for_attention(linear.outputs[0])) return;
      if (!fits(linear)) return;
    }
    choices_.push_back(
        {name_of(graph_, y), DType::F16, "outlier channels; proven to fit f16 by the weights"});
  }

  const ir::Graph& graph_;
  const WeightSource& weights_;
  ValueBounds bounds_;
  std::vector<TypeChoice> choices_;
};

}  // namespace

std::vector<TypeChoice> choose_types(DType precision, const ir::Graph& graph,
                                     const WeightSource& weights,
                                     const std::vector<TensorRange>& ranges) {
  if (precision == DType::F16) return HalfGuard(graph, weights, ranges).run();
  if (precision == DType::BF16) return FinerBf16(graph, weights).run();
  return {};
}

std::map<std::string, DType> type_map(const std::vector<TypeChoice>& choices) {
  std::map<std::string, DType> types;
  for (const TypeChoice& choice : choices) types[choice.name] = choice.dtype;
  return types;
}

data::Json to_json(const std::vector<TypeChoice>& choices) {
  data::Json list = data::Json::array();
  for (const TypeChoice& choice : choices) {
    data::Json entry = data::Json::object();
    entry.set("name", choice.name).set("dtype", dtype_name(choice.dtype));
    entry.set("reason", choice.reason);
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace tenon::compiler
