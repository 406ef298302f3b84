#include <vector>

#include "kernels/work.h"
#include "ops/glu.h"
#include "ops/layer_norm.h"
#include "ops/rms_norm.h"
#include "ops/sample.h"

// Ops that work row by row: everything takes turns, so that the rows come from memory. In a model
// they often come from a cache.
namespace tenon::bench {
namespace {

TensorView filled(Work& work, const Machine& machine, DType dtype, int64_t count, double value) {
  Tensor host = Tensor::make(dtype, {count});
  for (int64_t i = 0; i < count; ++i) {
    if (dtype == DType::I32) {
      host.as<int32_t>()[i] = static_cast<int32_t>(value);
    } else {
      host.as<float>()[i] = static_cast<float>(value);
    }
  }
  return work.keep(DeviceTensor::copy_of(machine, host));
}

// x [rows, columns], parameters, and a residual where the case has one -> y, and then the sum.
Work make_norm(Machine& machine, const Case& what, int parameters) {
  Extents extents{what.size("rows"), what.size("columns")};
  DType x_type = float_type(what, "x", "f32"), y_type = float_type(what, "dtype", "");
  bool residual = what.fields.find("residual") != nullptr;
  Work work;
  std::vector<TensorView> weights;
  for (int i = 0; i < parameters; ++i) {
    weights.push_back(work.keep(DeviceTensor::random(machine, DType::F32, {extents[1]}, 40 + i)));
  }
  int64_t x_bytes = dtype_bytes(x_type, extents.count());
  int64_t bytes = x_bytes * (residual ? 3 : 1) + dtype_bytes(y_type, extents.count());
  for (int64_t i = 0; i < turns_of(machine, bytes); ++i) {
    auto seed = static_cast<uint32_t>(100 + i);
    Operands turn;
    turn.inputs.push_back(work.keep(DeviceTensor::random(machine, x_type, extents, seed)));
    turn.inputs.insert(turn.inputs.end(), weights.begin(), weights.end());
    turn.inputs.emplace_back();
    turn.outputs.push_back(keep_output(work, machine, y_type, extents));
    if (residual) {
      turn.inputs.back() = work.keep(
          DeviceTensor::random(machine, float_type(what, "residual", ""), extents, seed + 100));
      turn.outputs.push_back(keep_output(work, machine, x_type, extents));
    }
    work.turns.push_back(std::move(turn));
  }
  work.bytes = static_cast<double>(bytes);
  return work;
}

}  // namespace

Work make_rms_norm(Machine& machine, const Case& what) {
  Work work = make_norm(machine, what, 1);
  work.attributes = ops::to_attributes(ops::RmsNorm{1e-6, what.text("dtype", "")});
  return work;
}

Work make_layer_norm(Machine& machine, const Case& what) {
  Work work = make_norm(machine, what, 2);
  work.attributes = ops::to_attributes(ops::LayerNorm{1e-5, what.text("dtype", "")});
  return work;
}

Work make_glu(Machine& machine, const Case& what) {
  int64_t rows = what.size("rows"), columns = what.size("columns");
  DType dtype = float_type(what, "dtype", "");
  Work work;
  work.attributes = ops::to_attributes(ops::Glu{what.text("kind", "silu"), ""});
  int64_t bytes = 3 * dtype_bytes(dtype, rows * columns);
  for (int64_t i = 0; i < turns_of(machine, bytes); ++i) {
    TensorView x = work.keep(
        DeviceTensor::random(machine, dtype, {rows, 2 * columns}, static_cast<uint32_t>(100 + i)));
    work.turns.push_back({{x}, {keep_output(work, machine, dtype, {rows, columns})}});
  }
  work.bytes = static_cast<double>(bytes);
  return work;
}

Work make_sample(Machine& machine, const Case& what) {
  int64_t rows = what.size("rows"), vocab = what.size("vocab");
  Work work;
  auto row_of = [&](DType dtype, double value) {
    return filled(work, machine, dtype, rows, value);
  };
  TensorView temperature = row_of(DType::F32, what.fields.get_double("temperature", 0));
  TensorView top_k = row_of(DType::I32, static_cast<double>(what.size_or("top_k", 0)));
  TensorView top_p = row_of(DType::F32, what.fields.get_double("top_p", 1));
  TensorView penalty = row_of(DType::F32, what.fields.get_double("repetition_penalty", 1));
  TensorView uniform = row_of(DType::F32, 0.6);
  TensorView history = filled(work, machine, DType::I32, 64, 17);
  TensorView offsets = filled(work, machine, DType::I32, rows + 1, 0);
  int64_t bytes = dtype_bytes(DType::F32, rows * vocab);
  for (int64_t i = 0; i < turns_of(machine, bytes); ++i) {
    TensorView logits = work.keep(DeviceTensor::random(machine, DType::F32, {rows, vocab},
                                                       static_cast<uint32_t>(100 + i), 8.0f));
    TensorView ids = row_of(DType::I32, -1),
               logprobs = keep_output(work, machine, DType::F32, {rows});
    work.turns.push_back(
        {{logits, temperature, top_k, top_p, penalty, uniform, history, offsets, {}},
         {ids, logprobs}});
  }
  work.bytes = static_cast<double>(bytes);
  return work;
}

}  // namespace tenon::bench
