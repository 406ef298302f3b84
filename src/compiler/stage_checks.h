#pragma once

#include <string>
#include <vector>

#include "compiler/ranges.h"
#include "models/model.h"
#include "runtime/session.h"

namespace tenon::compiler {

// What the stages gave: of each call its outputs, f32.
struct StageOutputs {
  std::vector<std::vector<Tensor>> calls;
  std::vector<TensorRange> ranges;  // of every value, where they were asked for
};

enum class Ranges { No, Yes };

// Runs one call and adds what it gave. What it takes from an earlier call is found in `result`.
void run_check(runtime::StageRunner& runner, const models::CheckCall& call, StageOutputs& result);
// Runs the calls one after the other; what a call takes from an earlier one is that session's own.
StageOutputs run_checks(runtime::Session& session, const models::StageChecks& checks,
                        Ranges ranges = Ranges::No);

// The sizes of one call: its stage's symbols, as its own inputs have them.
SymbolValues symbols_of(const plan::Stage& stage, const models::CheckCall& call);
// The symbols of a stage at the sizes of the largest check.
SymbolValues largest_check(const plan::Stage& stage, const models::StageChecks& checks);

}  // namespace tenon::compiler
