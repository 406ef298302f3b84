#include "compiler/value_bounds.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "base/thread_pool.h"
#include "ops/binary.h"
#include "ops/cast.h"
#include "ops/gather_rows.h"
#include "ops/glu.h"
#include "ops/kv_cache.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/slice.h"
#include "ops/unary.h"

namespace tenon::compiler {
namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();
// Roundings on the way to a value are relative and tiny; this covers them.
constexpr double kRounding = 1.01;

bool is_norm(const ir::Node& node) {
  return node.op == ops::RmsNorm::kName || node.op == ops::LayerNorm::kName;
}

double largest(const std::vector<float>& values) {
  double most = 0;
  for (float value : values) most = std::max(most, std::fabs(static_cast<double>(value)));
  return most;
}

// |f(y)| <= |y| for these; others grow or are bounded by more than their argument.
bool shrinks(std::string_view kind) {
  for (std::string_view known :
       {"", "relu", "silu", "gelu_erf", "gelu_tanh", "quick_gelu", "tanh"}) {
    if (kind == known) return true;
  }
  return false;
}

// The weight as rows of f32, a stripe of rows at a time, on all threads.
class WeightRows {
 public:
  WeightRows(const Recipe& recipe, const WeightSource& weights) {
    std::optional<TensorView> view = recipe.view(weights);
    if (view) {
      view_ = *view;
    } else {
      evaluated_ = recipe.evaluate(weights);
      view_ = evaluated_.view();
    }
  }
  bool is_matrix() const { return view_.rank() == 2 && is_float(view_.dtype); }
  // Calls row(index, values [columns]) for each row, in no order and from several threads.
  template <class Row>
  void for_each(Row&& row) const {
    process_thread_pool().parallel_for(view_.extents[0], 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        Tensor values = make_f32(view_.slice(0, i, i + 1));
        row(i, values.as<float>());
      }
    });
  }
  int64_t columns() const { return view_.extents[1]; }

 private:
  Tensor evaluated_;
  TensorView view_;
};

}  // namespace

std::vector<float> ValueBounds::constant(ir::ValueId id) const {
  if (id == ir::kNone || !graph_.value(id).recipe || graph_.value(id).type.quant) return {};
  Tensor values = make_f32(graph_.value(id).recipe->evaluate(weights_).view());
  return {values.as<float>(), values.as<float>() + values.count()};
}

double ValueBounds::of(ir::ValueId id) {
  auto found = known_.find(id);
  if (found != known_.end()) return found->second;
  // Also ends a walk that comes back to itself.
  known_[id] = kUnbounded;
  double bound = compute(id) * kRounding;
  return known_[id] = std::isnan(bound) ? kUnbounded : bound;
}

double ValueBounds::of_state(ir::ValueId state) {
  auto [entry, added] = known_states_.try_emplace(state, kUnbounded);
  if (!added) return entry->second;
  double bound = 0;
  bool written = false;
  for (const ir::Node& node : graph_.nodes()) {
    if (node.inputs.empty() || node.inputs.back() != state) continue;
    if (node.op == ops::PagedAttention::kName) continue;  // reads only
    bool appends = node.op == ops::KvAppend::kName;
    bound = appends ? std::max({bound, of(node.inputs[0]), of(node.inputs[1])}) : kUnbounded;
    written = true;
  }
  return known_states_[state] = written ? bound : kUnbounded;
}

double ValueBounds::compute(ir::ValueId id) {
  const ir::Value& value = graph_.value(id);
  if (value.kind != ir::ValueKind::Intermediate || value.producer == ir::kNone) return kUnbounded;
  const ir::Node& node = graph_.node(value.producer);
  if (node.outputs.empty() || node.outputs[0] != id) return kUnbounded;  // a norm's sum
  if (is_norm(node)) return of_norm(node);
  if (node.op == ops::Linear::kName) return of_linear(node);
  if (node.op == ops::PagedAttention::kName) return of_state(node.inputs.back());
  if (node.op == ops::Rope::kName) {
    double scale = ops::read_attributes<ops::Rope>(node.attributes).scale;
    return std::sqrt(2.0) * std::fabs(scale) * of(node.inputs[0]);
  }
  if (node.op == ops::GatherRows::kName || node.op == ops::Slice::kName ||
      node.op == ops::Cast::kName) {
    return of(node.inputs[0]);
  }
  if (node.op == ops::Unary::kName) {
    bool known = shrinks(ops::read_attributes<ops::Unary>(node.attributes).kind);
    return known ? of(node.inputs[0]) : kUnbounded;
  }
  if (node.op == ops::Binary::kName) {
    std::string kind = ops::read_attributes<ops::Binary>(node.attributes).kind;
    double a = of(node.inputs[0]), b = of(node.inputs[1]);
    return kind == "mul" ? a * b : kind == "add" || kind == "sub" ? a + b : kUnbounded;
  }
  return kUnbounded;
}

// x / sqrt(mean(x^2) + eps) has a mean square of at most 1, so no element above sqrt(n); likewise
// without the mean.
double ValueBounds::of_norm(const ir::Node& node) {
  std::vector<float> gain = constant(node.inputs[1]);
  if (gain.empty()) return kUnbounded;
  double bias = node.op == ops::LayerNorm::kName ? largest(constant(node.inputs[2])) : 0;
  return std::sqrt(static_cast<double>(gain.size())) * largest(gain) + bias;
}

// Over a norm: |row . (gain * unit)| <= sqrt(n) |gain * row|, by Cauchy and Schwarz. Over another
// bounded x: the sum of the row's magnitudes times the bound.
double ValueBounds::of_linear(const ir::Node& node) {
  const ir::Value& weight = graph_.value(node.inputs[1]);
  if (!weight.recipe || weight.type.quant || node.inputs[3] != ir::kNone) return kUnbounded;
  if (!shrinks(ops::read_attributes<ops::Linear>(node.attributes).activation)) return kUnbounded;
  ir::NodeId source = graph_.value(node.inputs[0]).producer;
  bool over_norm = source != ir::kNone && is_norm(graph_.node(source)) &&
                   graph_.node(source).outputs[0] == node.inputs[0];
  std::vector<float> gain, shift, bias = constant(node.inputs[2]);
  double each = 0;
  if (over_norm) {
    gain = constant(graph_.node(source).inputs[1]);
    if (graph_.node(source).op == ops::LayerNorm::kName)
      shift = constant(graph_.node(source).inputs[2]);
  } else if (each = of(node.inputs[0]); std::isinf(each)) {
    return kUnbounded;
  }
  WeightRows rows(*weight.recipe, weights_);
  size_t columns = rows.is_matrix() ? static_cast<size_t>(rows.columns()) : 0;
  if (columns == 0 || (over_norm && gain.size() != columns)) return kUnbounded;
  std::mutex mutex;
  double most = 0;
  rows.for_each([&](int64_t index, const float* row) {
    double bound = bias.empty() ? 0 : std::fabs(bias[static_cast<size_t>(index)]);
    double squares = 0, shifted = 0, sum = 0;
    for (size_t i = 0; i < columns; ++i) {
      double w = row[i];
      if (over_norm) {
        squares += w * gain[i] * w * gain[i];
        if (!shift.empty()) shifted += w * shift[i];
      } else {
        sum += std::fabs(w);
      }
    }
    bound += over_norm ? std::sqrt(static_cast<double>(columns) * squares) + std::fabs(shifted)
                       : sum * each;
    // A weight that is no number proves nothing.
    if (std::isnan(bound)) bound = kUnbounded;
    std::lock_guard lock(mutex);
    most = std::max(most, bound);
  });
  return most;
}

HalfWeight measure_half_weight(const Recipe& recipe, const WeightSource& weights) {
  HalfWeight result;
  WeightRows rows(recipe, weights);
  if (!rows.is_matrix()) return {kUnbounded, kUnbounded};
  std::mutex mutex;
  double squares = 0, errors = 0;
  auto count = static_cast<size_t>(rows.columns());
  rows.for_each([&](int64_t, const float* row) {
    TensorView exact(row, DType::F32, {static_cast<int64_t>(count)});
    Tensor half = Tensor::make(DType::F16, {static_cast<int64_t>(count)});
    copy_convert(exact, half.view());
    Tensor rounded = make_f32(half.view());
    double most = 0, square = 0, error = 0;
    for (size_t i = 0; i < count; ++i) {
      double w = row[i], difference = w - rounded.as<float>()[i];
      // Not finite counts as too large, whatever the comparison says.
      most = std::isfinite(w) ? std::max(most, std::fabs(w)) : kUnbounded;
      square += w * w;
      error += difference * difference;
    }
    std::lock_guard lock(mutex);
    result.largest = std::max(result.largest, most);
    squares += square;
    errors += error;
  });
  result.relative_error = squares > 0 ? std::sqrt(errors / squares) : 0;
  if (!std::isfinite(result.relative_error)) result.relative_error = kUnbounded;
  return result;
}

}  // namespace tenon::compiler
