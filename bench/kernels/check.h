#pragma once

#include <random>
#include <string>
#include <vector>

#include "kernels/operation.h"

// Every implementation of a back end, with every variant, against the reference with f64 results,
// on fresh random inputs and poisoned outputs, twice. The conformance suite has the derived bounds;
// this one is about sizes, forms and variants it does not reach.
namespace tenon::bench {

struct CheckSummary {
  int cases = 0,
      wrong = 0;  // wrong: a result outside of what is allowed, or other bits in a repeat
};

class Checker {
 public:
  Checker(Machine& machine, uint32_t seed) : machine_(machine), random_(seed) {}

  // Normal random numbers of this spread.
  Tensor random_floats(DType dtype, const Extents& extents, double spread = 1.0);
  std::mt19937& random() { return random_; }
  // Inputs are in host memory. `f32_error`: what arithmetic may add to the rounding of the result,
  // as a share of the results' size.
  void check(std::string_view op, const std::string& name, const ops::Attributes& attributes,
             const std::vector<TensorView>& inputs, DType y_type, const Extents& extents,
             double f32_error);
  const CheckSummary& summary() const { return summary_; }
  // One line an implementation: cases, the worst error as a share of what is allowed.
  void print() const;

 private:
  struct Tally {
    std::string implementation;
    int cases = 0, wrong = 0, repeats_differ = 0;
    double worst = 0;
  };
  void check_one(const Operation& operation, const std::string& name, Operands operands,
                 const Tensor& exact, double f32_error);
  Tally& tally_of(const std::string& implementation);

  Machine& machine_;
  std::mt19937 random_;
  CheckSummary summary_;
  std::vector<Tally> tallies_;
};

void check_linear(Checker& checker);
void check_attention(Checker& checker);

}  // namespace tenon::bench
