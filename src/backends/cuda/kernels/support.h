#pragma once

#include <initializer_list>
#include <string>

#include "ops/implementation.h"

// What `supports` functions ask. Each returns the first reason against.
namespace tenon::cuda {

inline bool is_kernel_float(DType dtype) {
  return dtype == DType::F32 || dtype == DType::BF16 || dtype == DType::F16;
}

// The named inputs and outputs, where present, are plain f32, bf16 or f16.
inline ops::Support support_floats(const ops::OpDesc& desc, std::initializer_list<size_t> inputs,
                                   std::initializer_list<size_t> outputs) {
  auto refused = [](const ops::TensorDesc& tensor) {
    return tensor.present && (tensor.quant || !is_kernel_float(tensor.dtype));
  };
  for (size_t i : inputs) {
    if (i < desc.inputs.size() && refused(desc.inputs[i])) {
      return ops::Support::no("input " + std::to_string(i) + " is " +
                              std::string(dtype_name(desc.inputs[i].dtype)) +
                              ", accepted f32, bf16, f16");
    }
  }
  for (size_t i : outputs) {
    if (i < desc.outputs.size() && refused(desc.outputs[i])) {
      return ops::Support::no("output " + std::to_string(i) + " is " +
                              std::string(dtype_name(desc.outputs[i].dtype)) +
                              ", accepted f32, bf16, f16");
    }
  }
  return ops::Support::yes();
}

inline TensorView input_or_none(const ops::RunArgs& args, size_t index) {
  return index < args.inputs.size() ? args.inputs[index] : TensorView();
}
inline TensorView output_or_none(const ops::RunArgs& args, size_t index) {
  return index < args.outputs.size() ? args.outputs[index] : TensorView();
}

}  // namespace tenon::cuda
