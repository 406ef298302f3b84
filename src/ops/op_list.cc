#include "ops/op_list.h"

#include "ops/binary.h"
#include "ops/cast.h"
#include "ops/embedding.h"
#include "ops/gather_rows.h"
#include "ops/glu.h"
#include "ops/kv_cache.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/sample.h"
#include "ops/slice.h"
#include "ops/unary.h"

namespace tenon::ops {

const Catalogue& builtin_catalogue() {
  static const Catalogue catalogue = [] {
    Catalogue list;
    list.add(Binary::def());
    list.add(Cast::def());
    list.add(Embedding::def());
    list.add(GatherRows::def());
    list.add(Glu::def());
    list.add(KvAppend::def());
    list.add(LayerNorm::def());
    list.add(Linear::def());
    list.add(PagedAttention::def());
    list.add(RmsNorm::def());
    list.add(Rope::def());
    list.add(RopeKvAppend::def());
    list.add(Sample::def());
    list.add(Slice::def());
    list.add(Unary::def());
    return list;
  }();
  return catalogue;
}

}  // namespace tenon::ops
