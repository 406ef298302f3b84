#pragma once

#include <string>

#include "ops/op.h"

namespace tenon::ops {

// y[t] = table[ids[t]] where ids[t] >= 0, else embeds[-1 - ids[t]]: so that token ids and given
// embeddings (an image, say) mix freely in one ragged batch.
// ids i32 [tokens], table [vocab, hidden], embeds f32 [embed_rows, hidden] -> y [tokens, hidden].
struct Embedding {
  static constexpr std::string_view kName = "embedding";
  std::string dtype;  // of y; "" means the table's

  template <class V>
  void visit(V&& v) {
    v("dtype", dtype);
  }
  static void infer(InferContext& context);
  static OpDef def() {
    return define_op<Embedding>({{"ids"}, {"table"}, {"embeds", PortKind::Optional}}, {{"y"}},
                                "y[t] = ids[t] >= 0 ? table[ids[t]] : embeds[-1 - ids[t]]");
  }
};

}  // namespace tenon::ops
