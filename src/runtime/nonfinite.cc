#include "runtime/nonfinite.h"

#include <cmath>

namespace tenon::runtime {

NonFiniteCount count_nonfinite(const TensorView& view) {
  NonFiniteCount count;
  if (!is_float(view.dtype) || view.count() == 0) return count;
  Tensor values = make_f32(view);
  const float* at = values.as<float>();
  for (int64_t i = 0; i < values.count(); ++i) {
    count.nans += std::isnan(at[i]);
    count.infinities += std::isinf(at[i]);
  }
  return count;
}

std::optional<NonFiniteStep> find_first_nonfinite(StageRunner& stage,
                                                  std::span<const TensorView> host_inputs) {
  std::optional<NonFiniteStep> found;
  stage.set_observer([&](size_t index, std::span<const TensorView> outputs) {
    for (size_t i = 0; i < outputs.size() && !found; ++i) {
      NonFiniteCount count = count_nonfinite(outputs[i]);
      if (!count.any()) continue;
      const plan::Step& step = stage.stage().steps[index];
      const std::vector<std::string>& names = stage.stage().values[step.outputs[i]].names;
      std::string tensor = names.empty() ? step.module : names[0];
      found = {index,
               step.op,
               step.module,
               tensor,
               count,
               tensor + " (" + step.op + "): " + std::to_string(count.nans) + " NaN, " +
                   std::to_string(count.infinities) + " infinite of " +
                   std::to_string(outputs[i].count())};
    }
    return false;
  });
  try {
    stage.run(host_inputs);
  } catch (...) {
    stage.set_observer({});
    throw;
  }
  stage.set_observer({});
  return found;
}

}  // namespace tenon::runtime
