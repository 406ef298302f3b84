#include "compiler/stage_checks.h"

#include <algorithm>

#include "base/error.h"

namespace tenon::compiler {
namespace {

// One range a tensor: the largest of all calls.
void merge(std::vector<TensorRange>& all, std::vector<TensorRange> more) {
  for (TensorRange& range : more) {
    auto same = std::find_if(all.begin(), all.end(), [&](const TensorRange& known) {
      return known.name == range.name && known.module == range.module;
    });
    if (same == all.end()) {
      all.push_back(std::move(range));
    } else {
      same->largest = std::max(same->largest, range.largest);
      same->nonfinite += range.nonfinite;
    }
  }
}

}  // namespace

void run_check(runtime::StageRunner& runner, const models::CheckCall& call, StageOutputs& result) {
  std::vector<TensorView> inputs;
  for (const models::CheckInput& input : call.inputs) {
    inputs.push_back(input.call < 0 ? input.value.view()
                                    : result.calls.at(input.call).at(input.output).view());
  }
  std::vector<Tensor> outputs;
  for (const TensorView& output : runner.run(inputs))
    outputs.push_back(make_f32(runner.to_host(output)));
  result.calls.push_back(std::move(outputs));
}

StageOutputs run_checks(runtime::Session& session, const models::StageChecks& checks,
                        Ranges ranges) {
  StageOutputs result;
  for (const models::CheckCall& call : checks.calls) {
    runtime::StageRunner& runner = session.stage(call.stage);
    RangeRecorder recorder(runner.stage());
    if (ranges == Ranges::Yes) {
      runner.set_observer([&](size_t step, std::span<const TensorView> outputs) {
        recorder.add(step, outputs);
        return false;
      });
    }
    run_check(runner, call, result);
    runner.set_observer({});
    merge(result.ranges, recorder.take());
  }
  return result;
}

SymbolValues symbols_of(const plan::Stage& stage, const models::CheckCall& call) {
  SymbolValues symbols;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const models::CheckInput& input = call.inputs[i];
    if (input.call >= 0) continue;
    const Shape& shape = stage.values[stage.inputs[i]].type.shape;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      if (std::optional<std::string> name = shape[axis].symbol_name())
        symbols[*name] = input.value.extents()[axis];
    }
  }
  return symbols;
}

SymbolValues largest_check(const plan::Stage& stage, const models::StageChecks& checks) {
  SymbolValues symbols;
  for (const plan::SymbolRange& range : stage.symbols) symbols[range.name] = range.least;
  for (const models::CheckCall& call : checks.calls) {
    if (call.stage != stage.name) continue;
    for (const auto& [name, value] : symbols_of(stage, call))
      symbols[name] = std::max(symbols[name], value);
  }
  return symbols;
}

}  // namespace tenon::compiler
