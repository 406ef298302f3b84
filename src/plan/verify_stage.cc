#include <algorithm>
#include <unordered_set>

#include "base/checked.h"
#include "base/limits.h"
#include "base/text.h"
#include "plan/verify.h"

namespace tenon::plan {
namespace {

class StageVerifier {
 public:
  StageVerifier(const Plan& plan, const Stage& stage)
      : plan_(plan),
        stage_(stage),
        marks_(stage.values.size(), Mark::Unwritten),
        last_read_(stage.values.size(), -1) {}

  void run() {
    if (stage_.ranks < 1 || stage_.ranks > kLimits.ranks) {
      throw Error(ErrorCode::BadInput, "number of ranks").got(std::to_string(stage_.ranks));
    }
    read_symbols();
    for (size_t i = 0; i < stage_.values.size(); ++i) check_value(static_cast<int32_t>(i));
    check_list(stage_.inputs, ValueRole::Input, "inputs");
    check_list(stage_.states, ValueRole::State, "states");
    for (size_t i = 0; i < stage_.steps.size(); ++i) {
      top_step_ = static_cast<int32_t>(i);
      check_step(stage_.steps[i], 0);
    }
    // Outputs are read when the stage has ended, so nothing may reuse their memory before.
    top_step_ = static_cast<int32_t>(stage_.steps.size()) - 1;
    for (int32_t output : stage_.outputs) read(output, "outputs");
    for (size_t i = 0; i < stage_.values.size(); ++i) check_lifetime(static_cast<int32_t>(i));
  }

 private:
  // Gone: it was written in a region that has ended.
  enum class Mark : uint8_t { Unwritten, Visible, Gone };

  void read_symbols();
  void check_value(int32_t index);
  void check_type(const ValueInfo& value) const;
  void check_constant_value(const ValueInfo& value) const;
  void check_list(const std::vector<int32_t>& list, ValueRole role, std::string_view what) const;
  void check_step(const Step& step, int depth);
  void check_region(const Region& region, int depth);
  void check_lifetime(int32_t index) const;

  std::string describe(int32_t index) const {
    std::string text = "value " + std::to_string(index);
    const std::vector<std::string>& names = stage_.values[index].names;
    return names.empty() ? text : text + " (" + names.front() + ")";
  }
  void check_index(int32_t index, std::string_view what) const {
    if (index >= 0 && static_cast<size_t>(index) < stage_.values.size()) return;
    throw Error(ErrorCode::BadInput, "no such value")
        .at(what)
        .got(std::to_string(index))
        .accepted("0 to " + std::to_string(static_cast<int64_t>(stage_.values.size()) - 1));
  }
  void read(int32_t index, std::string_view what) {
    check_index(index, what);
    if (marks_[index] != Mark::Visible) {
      throw Error(ErrorCode::BadInput, marks_[index] == Mark::Gone
                                           ? "value is read outside the region that writes it"
                                           : "value is read before it is written (a cycle?)")
          .at(what)
          .at(describe(index));
    }
    last_read_[index] = top_step_;
  }
  void write(int32_t index, std::string_view what) {
    check_index(index, what);
    const ValueInfo& value = stage_.values[index];
    if (value.role != ValueRole::Intermediate || marks_[index] != Mark::Unwritten) {
      throw Error(ErrorCode::BadInput,
                  value.role == ValueRole::Intermediate
                      ? "value is written twice"
                      : "inputs, constants and states are not written by steps")
          .at(what)
          .at(describe(index));
    }
    if (value.first_step != top_step_) {
      throw Error(ErrorCode::BadInput, "lifetime does not begin where the value is written")
          .at(describe(index))
          .got(std::to_string(value.first_step))
          .accepted(std::to_string(top_step_));
    }
    marks_[index] = Mark::Visible;
    written_.push_back(index);
  }

  const Plan& plan_;
  const Stage& stage_;
  SymbolValues most_;
  std::vector<Mark> marks_;         // [values]
  std::vector<int32_t> last_read_;  // [values], the last top-level step that reads it
  std::vector<int32_t> written_;    // in order, so that the end of a region can hide its values
  int32_t top_step_ = -1;
};

void StageVerifier::read_symbols() {
  for (const SymbolRange& symbol : stage_.symbols) {
    std::string place = "symbol " + symbol.name;
    if (symbol.least < 0 || symbol.least > symbol.most || symbol.most > kLimits.symbol_most) {
      throw Error(ErrorCode::BadInput, "range")
          .at(place)
          .got("[" + std::to_string(symbol.least) + ", " + std::to_string(symbol.most) + "]")
          .accepted("0 <= least <= most <= " + std::to_string(kLimits.symbol_most));
    }
    if (symbol.name.empty() || !most_.emplace(symbol.name, symbol.most).second) {
      throw Error(ErrorCode::BadInput, "name is empty or appears twice").at(place);
    }
  }
}

void StageVerifier::check_value(int32_t index) {
  const ValueInfo& value = stage_.values[index];
  int64_t steps = static_cast<int64_t>(stage_.steps.size());
  try {
    check_type(value);
    if (value.first_step < -1 || value.first_step >= steps || value.last_step < -1 ||
        value.last_step >= steps) {
      throw Error(ErrorCode::BadInput, "lifetime names a step that does not exist");
    }
    if (value.role == ValueRole::Constant) {
      check_constant_value(value);
    } else if (value.constant != -1) {
      throw Error(ErrorCode::BadInput, "only constants name a constant");
    }
  } catch (Error& error) {
    error.within(describe(index));
    throw;
  }
  if (value.role != ValueRole::Intermediate) marks_[index] = Mark::Visible;
}

// Also computes the size at the upper ends of the symbols' ranges, so that no size overflows later.
// The sizes of a state (blocks and positions a block) never reach their ends together; the runtime
// checks their product.
void StageVerifier::check_type(const ValueInfo& value) const {
  const Shape& shape = value.type.shape;
  if (shape.size() > static_cast<size_t>(kMaxRank)) {
    throw Error(ErrorCode::BadInput, "rank is too high").got(std::to_string(shape.size()));
  }
  int64_t count = 1;
  for (const Dim& dim : shape) {
    int64_t extent = dim.evaluate(most_);
    if (dim.is_constant() && extent < 0) {
      throw Error(ErrorCode::BadInput, "negative extent").got(std::to_string(extent));
    }
    count =
        checked_mul<int64_t>(count, std::max<int64_t>(extent, 1), "size at the largest symbols");
  }
  dtype_bytes(value.type.dtype, count);
  if (!value.type.quant) return;
  const QuantSpec& quant = *value.type.quant;
  bool axis_good = quant.axis >= -1 && quant.axis < static_cast<int>(shape.size());
  if (!axis_good || quant.group < 0) {
    throw Error(ErrorCode::BadInput, "quantisation axis or group").got(to_string(quant));
  }
  int64_t channels = 0;
  for (int64_t cluster : quant.clusters) channels = checked_add(channels, cluster, "clusters");
}

void StageVerifier::check_constant_value(const ValueInfo& value) const {
  if (value.constant < 0 || static_cast<size_t>(value.constant) >= plan_.constants.size()) {
    throw Error(ErrorCode::BadInput, "no such constant")
        .got(std::to_string(value.constant))
        .accepted("below " + std::to_string(plan_.constants.size()));
  }
  // A packed value has another shape in memory than in the graph.
  if (value.type.quant) return;
  const Constant& constant = plan_.constants[value.constant];
  if (value.type.dtype == constant.dtype && value.type.shape == to_shape(constant.extents)) return;
  throw Error(ErrorCode::BadInput, "type differs from constant " + constant.name)
      .got(to_string(value.type))
      .accepted(std::string(dtype_name(constant.dtype)) + constant.extents.to_string());
}

void StageVerifier::check_list(const std::vector<int32_t>& list, ValueRole role,
                               std::string_view what) const {
  std::unordered_set<int32_t> seen;
  for (int32_t index : list) {
    check_index(index, what);
    if (stage_.values[index].role != role || !seen.insert(index).second) {
      throw Error(ErrorCode::BadInput, "value has another role or is listed twice")
          .at(what)
          .at(describe(index));
    }
  }
  for (size_t i = 0; i < stage_.values.size(); ++i) {
    int32_t index = static_cast<int32_t>(i);
    if (stage_.values[i].role != role || seen.count(index)) continue;
    throw Error(ErrorCode::BadInput, "value is not listed").at(what).at(describe(index));
  }
}

void StageVerifier::check_step(const Step& step, int depth) {
  try {
    if (step.op.empty() || step.version < 1 || !is_valid_utf8(step.op) ||
        !is_valid_utf8(step.module)) {
      throw Error(ErrorCode::BadInput, "op name, version or module").got(step.op);
    }
    for (int32_t input : step.inputs) {
      if (input != -1) read(input, "inputs");
    }
    for (const Region& region : step.regions) check_region(region, depth + 1);
    for (int32_t output : step.outputs) {
      if (output != -1) write(output, "outputs");
    }
  } catch (Error& error) {
    error.within(step.op);
    if (depth == 0) error.within("step " + std::to_string(top_step_));
    throw;
  }
}

void StageVerifier::check_region(const Region& region, int depth) {
  if (depth > kLimits.region_depth) {
    throw Error(ErrorCode::BadInput, "regions are nested too deep")
        .accepted("at most " + std::to_string(kLimits.region_depth));
  }
  size_t outside = written_.size();
  for (int32_t input : region.inputs) write(input, "region inputs");
  for (const Step& step : region.steps) check_step(step, depth);
  for (int32_t output : region.outputs) read(output, "region outputs");
  for (size_t i = outside; i < written_.size(); ++i) marks_[written_[i]] = Mark::Gone;
  written_.resize(outside);
}

void StageVerifier::check_lifetime(int32_t index) const {
  const ValueInfo& value = stage_.values[index];
  if (value.role != ValueRole::Intermediate) return;
  if (marks_[index] == Mark::Unwritten) {
    throw Error(ErrorCode::BadInput, "no step writes the value").at(describe(index));
  }
  int32_t least = std::max(last_read_[index], value.first_step);
  if (value.last_step >= least) return;
  throw Error(ErrorCode::BadInput, "lifetime ends before the last step that reads the value")
      .at(describe(index))
      .got(std::to_string(value.last_step))
      .accepted(std::to_string(least));
}

}  // namespace

void verify_stage(const Plan& plan, const Stage& stage) {
  StageVerifier(plan, stage).run();
}

}  // namespace tenon::plan
