#include "kernels/check.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "backends/reference/impl_list.h"
#include "base/error.h"

namespace tenon::bench {
namespace {

const ops::Implementation& reference_of(std::string_view op) {
  for (const ops::Implementation* candidate : reference::implementations()) {
    if (candidate->op == op) return *candidate;
  }
  throw Error(ErrorCode::Internal, "op without a reference").at(op);
}

Tensor run_reference(std::string_view op, const ops::Attributes& attributes,
                     const std::vector<TensorView>& inputs, const Extents& extents) {
  const ops::Implementation& reference = reference_of(op);
  Tensor out = Tensor::make(DType::F64, extents);
  std::vector<TensorView> outputs = {out.view()};
  ops::OpDesc desc;
  desc.op = op, desc.attributes = &attributes;
  std::shared_ptr<const void> prepared = reference.prepare(desc);
  reference.run({.inputs = inputs,
                 .outputs = outputs,
                 .prepared = prepared.get(),
                 .workspace = {},
                 .stream = nullptr});
  return out;
}

double unit_roundoff(DType dtype) {
  if (dtype == DType::BF16) return 0x1p-8;
  return dtype == DType::F16 ? 0x1p-11 : 0x1p-24;
}

// The largest error as a share of what is allowed: one rounding into the result's type, and
// arithmetic errors relative to the results' size.
double worst_share(const TensorView& got, const Tensor& exact, double f32_error) {
  Tensor values = make_f32(got);
  double square = 0, worst = 0;
  for (int64_t i = 0; i < exact.count(); ++i) square += std::pow(exact.as<double>()[i], 2);
  double size = std::sqrt(square / static_cast<double>(std::max<int64_t>(1, exact.count())));
  for (int64_t i = 0; i < exact.count(); ++i) {
    double wanted = exact.as<double>()[i];
    double error = std::fabs(values.as<float>()[i] - wanted);
    // A NaN compares false with everything.
    if (!std::isfinite(error)) return std::numeric_limits<double>::infinity();
    double allowed =
        unit_roundoff(got.dtype) * std::fabs(wanted) + f32_error * (size + std::fabs(wanted));
    worst = std::max(worst, error / allowed);
  }
  return worst;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return std::equal(a.view().byte_span().begin(), a.view().byte_span().end(),
                    b.view().byte_span().begin());
}

}  // namespace

Tensor Checker::random_floats(DType dtype, const Extents& extents, double spread) {
  Tensor values = Tensor::make(DType::F32, extents);
  std::normal_distribution<float> normal(0.0f, static_cast<float>(spread));
  for (int64_t i = 0; i < values.count(); ++i) values.as<float>()[i] = normal(random_);
  Tensor result = Tensor::make(dtype, extents);
  copy_convert(values, result);
  return result;
}

Checker::Tally& Checker::tally_of(const std::string& implementation) {
  for (Tally& tally : tallies_) {
    if (tally.implementation == implementation) return tally;
  }
  tallies_.push_back({implementation});
  return tallies_.back();
}

void Checker::check(std::string_view op, const std::string& name, const ops::Attributes& attributes,
                    const std::vector<TensorView>& inputs, DType y_type, const Extents& extents,
                    double f32_error) {
  Tensor exact = run_reference(op, attributes, inputs, extents);
  std::vector<DeviceTensor> memory;
  Operands operands;
  for (const TensorView& input : inputs) {
    if (input.defined()) memory.push_back(DeviceTensor::copy_of(machine_, input));
    operands.inputs.push_back(input.defined() ? memory.back().view() : TensorView());
  }
  memory.emplace_back(machine_, y_type, extents);
  operands.outputs = {memory.back().view()};
  for (const ops::Implementation* candidate : machine_.implementations()) {
    if (candidate->op != op) continue;
    Operation plain(machine_, *candidate, attributes, operands, "");
    if (!plain.support().ok) continue;
    check_one(plain, name, operands, exact, f32_error);
    for (const std::string& variant : plain.variants()) {
      Operation other(machine_, *candidate, attributes, operands, variant);
      if (other.support().ok) check_one(other, name, operands, exact, f32_error);
    }
  }
}

// Runs it twice over poison: right, and the same bits.
void Checker::check_one(const Operation& operation, const std::string& name, Operands operands,
                        const Tensor& exact, double f32_error) {
  Tally& tally = tally_of(operation.name());
  std::vector<Tensor> results;
  for (int i = 0; i < 2; ++i) {
    const TensorView& out = operands.outputs[0];
    Tensor poison = Tensor::make(out.dtype, out.extents);
    std::fill_n(poison.as<unsigned char>(), poison.view().bytes(), 0xFF);
    machine_.upload(out, poison.view().data);
    operation.run(operands);
    results.push_back(machine_.download(out));
  }
  ++tally.cases, ++summary_.cases;
  double share = worst_share(results[0], exact, f32_error);
  tally.worst = std::max(tally.worst, share);
  if (!(share <= 1)) {
    ++tally.wrong, ++summary_.wrong;
    std::printf("WRONG %s %s: %.3g of what is allowed\n", operation.name().c_str(), name.c_str(),
                share);
  }
  if (!same_bits(results[0], results[1])) {
    ++tally.repeats_differ, ++summary_.wrong;
    std::printf("NOT REPEATABLE %s %s\n", operation.name().c_str(), name.c_str());
  }
}

void Checker::print() const {
  for (const Tally& tally : tallies_) {
    std::printf("check %-60s %4d cases, %d wrong, %d not repeatable, worst %.2f of allowed\n",
                tally.implementation.c_str(), tally.cases, tally.wrong, tally.repeats_differ,
                tally.worst);
  }
}

}  // namespace tenon::bench
