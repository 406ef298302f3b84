#include "compiler/wide_plan.h"

namespace tenon::compiler {
namespace {

bool is_half(DType dtype) {
  return dtype == DType::BF16 || dtype == DType::F16;
}

void widen(std::vector<plan::Step>& steps) {
  for (plan::Step& step : steps) {
    const ops::Attribute* dtype = step.attributes.find("dtype");
    const std::string* name = dtype ? std::get_if<std::string>(dtype) : nullptr;
    if (name && !name->empty() && is_half(dtype_from_name(*name).value_or(DType::F32))) {
      step.attributes.set("dtype", std::string(dtype_name(DType::F32)));
    }
    for (plan::Region& region : step.regions) widen(region.steps);
  }
}

}  // namespace

plan::Plan make_wide_plan(const plan::Plan& plan) {
  plan::Plan wide = plan;
  wide.tactics.clear();
  for (plan::Stage& stage : wide.stages) {
    for (plan::ValueInfo& value : stage.values) {
      bool computed = value.role == plan::ValueRole::Intermediate ||
                      (value.role == plan::ValueRole::State && !value.type.quant);
      if (computed && is_half(value.type.dtype)) value.type.dtype = DType::F32;
    }
    widen(stage.steps);
  }
  return wide;
}

plan::Plan make_f32_plan(const plan::Plan& plan) {
  plan::Plan wide = make_wide_plan(plan);
  for (plan::Stage& stage : wide.stages) {
    for (plan::ValueInfo& value : stage.values) {
      bool plain = value.role == plan::ValueRole::Constant && !value.type.quant;
      if (plain && is_half(value.type.dtype)) value.type.dtype = DType::F32;
    }
  }
  return wide;
}

TensorView WideConstants::constant(size_t index) {
  TensorView view = file_->constant(index);
  if (!is_half(view.dtype)) return view;
  widened_.push_back(make_f32(view));
  return widened_.back().view();
}

}  // namespace tenon::compiler
