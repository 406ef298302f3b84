#pragma once

#include "compiler/check_data.h"
#include "runtime/session.h"

namespace tenon::compiler {

// Runs every sequence of the check data in one ragged batch through the "decoder" stage; returns
// the logits of data.logit_rows, f32 [rows, vocabulary].
Tensor run_check(runtime::Session& session, const CheckData& data,
                 runtime::StepObserver observer = {});
// The same on the runner of such a stage.
Tensor run_check(runtime::StageRunner& decoder, const CheckData& data,
                 runtime::StepObserver observer = {});

// The first sequence of the data alone, at most `most_tokens` of it, all rows compared.
CheckData first_sequence(const CheckData& data, size_t most_tokens);

}  // namespace tenon::compiler
