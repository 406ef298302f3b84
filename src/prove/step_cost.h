#pragma once

#include <vector>

#include "plan/plan.h"
#include "prove/ceilings.h"
#include "tensor/dim.h"

namespace tenon::prove {

// What a step cannot do without: bytes that must be moved once, and arithmetic.
struct StepCost {
  double bytes =
      0;  // weights, inputs and outputs once; of tables and caches the rows that are used
  double flops = 0;            // products two each, other elements one
  double int8_operations = 0;  // the part of `flops` that are products of 8-bit codes

  double arithmetic_seconds(const Ceilings& ceilings) const;
  // The time that a perfect kernel would need on a machine with these ceilings.
  double least_seconds(const Ceilings& ceilings) const;
};

// New tokens of a batch and the positions they see.
struct Batch {
  int64_t seqs = 1, tokens_each = 1;
  int64_t context = 1;  // positions of each sequence once the step is done
};

// Whether any step multiplies 8-bit codes of x, so that their ceiling counts.
bool multiplies_codes(const plan::Stage& stage);

// Costs of a language stage's steps for symbol values that fit the batch.
std::vector<StepCost> step_costs(const plan::Stage& stage, const SymbolValues& symbols,
                                 const Batch& batch);

}  // namespace tenon::prove
