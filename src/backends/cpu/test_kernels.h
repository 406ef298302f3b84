#pragma once

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/tables.h"
#include "ops/implementation.h"

// What the tests of this room share.
namespace tenon::cpu {

// The tables this CPU can run.
struct NamedRows {
  std::string name;
  const RowKernels* rows;
};
inline std::vector<NamedRows> runnable_rows() {
  std::vector<NamedRows> list;
#if defined(__aarch64__)
  list.push_back({"neon", kNeon.rows});
#elif defined(__x86_64__)
  if (cpu_supports(Isa::Avx2).ok) list.push_back({"avx2", kAvx2.rows});
  if (cpu_supports(Isa::Avx512).ok) list.push_back({"avx512", kAvx512.rows});
#endif
  return list;
}

inline bool has_kernels() {
  return !runnable_rows().empty();
}

inline Tensor make_random(DType dtype, const Extents& extents, uint32_t seed, float spread = 1) {
  Tensor values = Tensor::make(DType::F32, extents);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, spread);
  for (int64_t i = 0; i < values.count(); ++i) values.as<float>()[i] = normal(random);
  if (dtype == DType::F32) return values;
  Tensor result = Tensor::make(dtype, extents);
  copy_convert(values, result);
  return result;
}

inline std::vector<double> values_of(const TensorView& view) {
  Tensor f32 = make_f32(view);
  return {f32.as<float>(), f32.as<float>() + f32.count()};
}

inline Tensor make_i32(const std::vector<int32_t>& values, const Extents& extents) {
  return Tensor::make_from<int32_t>(DType::I32, extents, values);
}

inline ops::TensorDesc desc_of(const TensorView& view) {
  return {view.defined(), view.dtype, view.extents, nullptr};
}

// Runs every implementation of the op that supports these tensors, and calls check(name) after
// each.
template <class Check>
int run_all(std::string_view op, const ops::Attributes& attributes,
            const std::vector<TensorView>& inputs, const std::vector<TensorView>& outputs,
            Check check) {
  ops::OpDesc desc{.op = op, .version = 1, .attributes = &attributes, .inputs = {}, .outputs = {}};
  for (const TensorView& view : inputs) desc.inputs.push_back(desc_of(view));
  for (const TensorView& view : outputs) desc.outputs.push_back(desc_of(view));
  int ran = 0;
  for (const ops::Implementation* kernel : implementations()) {
    if (kernel->op != op || !kernel->supports(desc).ok) continue;
    auto prepared = kernel->prepare(desc);
    std::vector<std::byte> workspace(kernel->workspace_bytes ? kernel->workspace_bytes(desc) : 0,
                                     std::byte{0xFF});
    kernel->run({.inputs = inputs,
                 .outputs = outputs,
                 .prepared = prepared.get(),
                 .workspace = workspace,
                 .stream = nullptr});
    check(std::string(kernel->name));
    ++ran;
  }
  return ran;
}

}  // namespace tenon::cpu
