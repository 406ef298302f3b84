#pragma once

#include "backends/cpu/kernels/attention_rows.h"
#include "backends/cpu/kernels/tables.h"

namespace tenon::cpu {

// Many queries that look at a few keys each (cells of a picture at the tokens of a prompt): the
// other form's calls for each query would take ten times as long as the arithmetic.
bool has_few_keys(const AttentionShape& shape);
int64_t few_keys_workspace(const AttentionShape& shape);
void attend_few_keys(const AttentionShape& shape, const AttentionTensors& tensors, float scale,
                     const Kernels& kernels, Workspace workspace);

}  // namespace tenon::cpu
