#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "compare.h"
#include "operand.h"
#include "ops/implementation.h"
#include "ops/op.h"

// One suite for all implementations of an op. Each `<op>_test.cc` lists cases; run_suite() runs
// every implementation found in the back ends' lists on each case and checks that
// - the outputs agree with the exact result within the derived bound (tolerance.h),
// - every output element was written (outputs start as NaN bit patterns),
// - nothing outside outputs and workspace was written, inputs are unmodified,
// - a state changed only where the op says: all other elements keep their bits,
// - a second run over other garbage gives the same bits.
namespace tenon::conformance {

struct Case {
  std::string name;  // what is special about it: "bf16_17x63_bias"
  ops::Attributes attributes;
  std::vector<Operand> inputs;
  size_t output_count = 1;
};

// The result of the reference with outputs and state in f64.
struct Exact {
  std::vector<Tensor> outputs;
  int state_index = -1;  // the state among the inputs; -1: the op has none
  Tensor state_before, state_after;
};
Exact compute_exact(std::string_view op, const Case& test_case);

// Error bounds before the last rounding, element by element: one list for each output, then one for
// the state where there is one.
using Bounds = std::vector<std::vector<double>>;
Bounds zero_bounds(const Case& test_case, const Exact& exact);  // for ops that only move values

struct Suite {
  std::string_view op;
  std::vector<Case> cases;
  std::function<Bounds(const Case&, const Exact&)> bounds = zero_bounds;
  // Replaces the comparison, where an output is a decision. Returns problems.
  std::function<std::vector<std::string>(const Case&, std::span<const TensorView> outputs)> check;
};

// One implementation on one case.
Comparison run_case(const ops::Implementation& implementation, const Suite& suite,
                    const Case& test_case, const Exact& exact);

// Every implementation of the op on every case; problems become test failures, refusals are
// printed.
void run_suite(const Suite& suite);

// What `supports` is asked for the case. Points into the case.
ops::OpDesc describe(std::string_view op, const Case& test_case);

// The lists of all back ends in this build; where TENON_CONFORMANCE is "cuda", only what runs on
// the GPU, for runs whose time is dear.
bool gpu_only();
std::vector<const ops::Implementation*> all_implementations();

// A refusal with these words is about the machine, not about the case: an implementation that runs
// nowhere for such a reason alone is no failure.
inline constexpr std::string_view kMissingHardware = "this CPU lacks";

struct CaseResult {
  std::string name;
  bool passed = false;
  double share = 0;  // of the derived bound, as in Comparison
};

struct Count {
  std::string op;
  std::vector<CaseResult> cases;  // that ran
  int run = 0, passed = 0, skipped = 0;
  bool only_missing_hardware = true;  // of the skipped
  double worst_share = 0;             // of the derived bound, as in Comparison
};
// By implementation, of all suites run so far.
std::map<std::string, Count>& counts();

}  // namespace tenon::conformance
