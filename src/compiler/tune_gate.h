#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/progress.h"
#include "compiler/decoder_batch.h"
#include "compiler/gate.h"
#include "plan/plan_file.h"
#include "plan/tactics.h"
#include "runtime/session.h"

namespace tenon::compiler {

struct TuneGate {
  data::Json report = data::Json::object();
  std::vector<std::string> failures;  // one line a broken budget
  std::vector<std::string> skipped;   // tactics that did not fit after all
};

// The logits of texts fed to the decoder in steps of a shape: `texts` has shape.seqs of them, of
// one length. f32 [seqs * kept, vocabulary]: the last `kept` positions of each.
Tensor run_in_steps(runtime::Session& session, const DecoderShape& shape,
                    const std::vector<std::vector<int32_t>>& texts, int64_t kept);

// Runs the plan with the tactics on the device in each shape, and its own weights in f32 on the CPU
// (make_wide_plan), over the same texts, and holds the difference against the budget. Where the
// plan without tactics breaks it on these texts too, the tactics are held to what they change.
TuneGate run_tune_gate(const std::shared_ptr<const plan::PlanFile>& file,
                       const device::DeviceId& device, const plan::TacticSet& tactics,
                       const std::vector<DecoderShape>& shapes, const GateBudget& budget,
                       Progress& progress);

}  // namespace tenon::compiler
