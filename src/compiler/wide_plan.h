#pragma once

#include <list>
#include <memory>

#include "plan/plan_file.h"
#include "runtime/constant_source.h"

namespace tenon::compiler {

// The stages of a plan with every 16-bit value and state as f32 and the weights as they are: what
// the plan would compute if nothing were rounded on the way. An oracle for what may change rounding
// only, where there is no checkpoint.
plan::Plan make_wide_plan(const plan::Plan& plan);

// The same with 16-bit weights as f32, too: every kernel of pictures takes one type. WideConstants
// goes with it.
plan::Plan make_f32_plan(const plan::Plan& plan);

// The weights of a plan file.
class PlanConstants : public runtime::ConstantSource {
 public:
  explicit PlanConstants(std::shared_ptr<const plan::PlanFile> file) : file_(std::move(file)) {}
  TensorView constant(size_t index) override { return file_->constant(index); }

 private:
  std::shared_ptr<const plan::PlanFile> file_;
};

// The weights of a plan file, 16-bit ones widened for the step that needs them.
class WideConstants : public runtime::ConstantSource {
 public:
  explicit WideConstants(std::shared_ptr<const plan::PlanFile> file) : file_(std::move(file)) {}
  TensorView constant(size_t index) override;
  bool stable() const override { return false; }
  void begin_step() override { widened_.clear(); }

 private:
  std::shared_ptr<const plan::PlanFile> file_;
  std::list<Tensor> widened_;
};

}  // namespace tenon::compiler
