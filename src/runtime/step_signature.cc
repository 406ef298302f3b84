#include "runtime/step_signature.h"

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

std::string text_of(const ops::TensorDesc& tensor, bool is_state) {
  if (!tensor.present) return "-";
  std::string text(dtype_name(tensor.dtype));
  text += "[";
  for (int axis = 0; axis < tensor.extents.rank(); ++axis) {
    if (axis > 0) text += ", ";
    text += is_state && axis == 0 ? "*" : std::to_string(tensor.extents[axis]);
  }
  text += "]";
  if (tensor.quant) text += " " + to_string(*tensor.quant);
  return text;
}

}  // namespace

ops::OpDesc describe_step(const plan::Stage& stage, const plan::Step& step,
                          const SymbolValues& bounds) {
  ops::OpDesc desc;
  desc.op = step.op;
  desc.version = step.version;
  desc.attributes = &step.attributes;
  for (int32_t index : step.inputs) desc.inputs.push_back(describe(stage, index, bounds));
  for (int32_t index : step.outputs) desc.outputs.push_back(describe(stage, index, bounds));
  return desc;
}

std::string step_signature(const plan::Stage& stage, const plan::Step& step,
                           const ops::OpDesc& desc) {
  std::string text = step.op;
  if (step.version != 1) text += "." + std::to_string(step.version);
  text += "(";
  for (size_t i = 0; i < desc.inputs.size(); ++i) {
    bool is_state =
        step.inputs[i] >= 0 && stage.values[step.inputs[i]].role == plan::ValueRole::State;
    text += (i ? ", " : "") + text_of(desc.inputs[i], is_state);
  }
  text += ") ->";
  for (const ops::TensorDesc& output : desc.outputs) text += " " + text_of(output, false);
  text += " {";
  bool first = true;
  for (const auto& [name, value] : step.attributes.entries()) {
    text += (first ? "" : ", ") + name + ": " + ops::to_string(value);
    first = false;
  }
  return text + "}";
}

}  // namespace tenon::runtime
