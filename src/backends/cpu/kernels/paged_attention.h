#pragma once

#include <limits>

#include "backends/cpu/kernels/tables.h"
#include "ops/implementation.h"
#include "ops/kv_cache.h"

namespace tenon::cpu {

// `paged_attention` on vectors. Sequences of `below` or more new tokens are left to another form.
void run_paged_attention(const ops::RunArgs& args, const Kernels& kernels,
                         int64_t below = std::numeric_limits<int64_t>::max());
// Of calls with so many tokens at most.
int64_t paged_attention_workspace(const ops::PagedAttention& op, int64_t tokens,
                                  const Kernels& kernels);

}  // namespace tenon::cpu
