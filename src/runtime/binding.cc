#include "runtime/binding.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "base/text.h"

namespace tenon::runtime {
namespace {

ops::TensorDesc describe(const plan::Stage& stage, int32_t index, const SymbolValues& bounds) {
  ops::TensorDesc desc;
  if (index < 0) return desc;
  const ValueType& type = stage.values[index].type;
  desc.present = true;
  desc.dtype = type.dtype;
  desc.extents = evaluate(type.shape, bounds);
  desc.quant = type.quant ? &*type.quant : nullptr;
  return desc;
}

ops::OpDesc describe(const plan::Stage& stage, const plan::Step& step, const SymbolValues& bounds) {
  ops::OpDesc desc{step.op, step.version, &step.attributes, {}, {}};
  for (int32_t index : step.inputs) desc.inputs.push_back(describe(stage, index, bounds));
  for (int32_t index : step.outputs) desc.outputs.push_back(describe(stage, index, bounds));
  return desc;
}

void bind_step(Binding& binding, const plan::Step& step, const ops::OpDesc& desc,
               const std::vector<Backend>& backends, Problems& problems) {
  StepChoice choice{binding.steps.size(), step.op, step.module, "", "", {}};
  BoundStep bound;
  for (const Backend& backend : backends) {
    ops::Choice found = ops::choose_implementation(backend.implementations, desc);
    choice.refused.insert(choice.refused.end(), found.refused.begin(), found.refused.end());
    if (!found.implementation) continue;
    bound.implementation = found.implementation;
    choice.implementation = found.implementation->name;
    choice.device = backend.device;
    break;
  }
  if (!bound.implementation) {
    problems.add(Error(ErrorCode::Unsupported, "no implementation of this step")
                     .at(step.module)
                     .at(step.op)
                     .got(choice.refused.empty() ? "no candidate" : join(choice.refused, ", ")));
  } else {
    if (bound.implementation->prepare) bound.prepared = bound.implementation->prepare(desc);
    if (bound.implementation->workspace_bytes)
      bound.workspace_bytes = bound.implementation->workspace_bytes(desc);
  }
  binding.workspace_bytes = std::max(binding.workspace_bytes, bound.workspace_bytes);
  binding.steps.push_back(std::move(bound));
  binding.choices.push_back(std::move(choice));
}

}  // namespace

Binding bind_stage(const plan::Stage& stage, const SymbolValues& bounds,
                   const std::vector<Backend>& backends) {
  Binding binding;
  binding.bounds = bounds;
  Problems problems;
  for (const plan::Step& step : stage.steps) {
    bind_step(binding, step, describe(stage, step, bounds), backends, problems);
  }
  problems.throw_if_any();

  std::vector<BufferNeed> needs;
  std::vector<size_t> owners;
  for (size_t i = 0; i < stage.values.size(); ++i) {
    const plan::ValueInfo& value = stage.values[i];
    if (value.role != plan::ValueRole::Intermediate) continue;
    Extents extents = evaluate(value.type.shape, bounds);
    int64_t bytes = dtype_bytes(value.type.dtype, checked_product(extents.span(), "intermediate"));
    // Every buffer is at least one line, so that a zero-sized value still has an address.
    needs.push_back({std::max<int64_t>(bytes, 64), value.first_step, value.last_step});
    owners.push_back(i);
  }
  ArenaLayout layout = lay_out_arena(needs);
  binding.offsets.assign(stage.values.size(), -1);
  for (size_t i = 0; i < owners.size(); ++i) binding.offsets[owners[i]] = layout.offsets[i];
  binding.arena_bytes = layout.bytes;
  return binding;
}

}  // namespace tenon::runtime
