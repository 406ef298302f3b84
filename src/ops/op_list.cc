#include "ops/op_list.h"

#include "ops/attention.h"
#include "ops/binary.h"
#include "ops/cast.h"
#include "ops/concat.h"
#include "ops/conv.h"
#include "ops/embedding.h"
#include "ops/fourier_features.h"
#include "ops/fused.h"
#include "ops/gather_rows.h"
#include "ops/glu.h"
#include "ops/image_prep.h"
#include "ops/kv_cache.h"
#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/mask_post.h"
#include "ops/matmul.h"
#include "ops/pad.h"
#include "ops/quantised_linear.h"
#include "ops/reshape.h"
#include "ops/resize.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/sample.h"
#include "ops/slice.h"
#include "ops/transpose.h"
#include "ops/unary.h"

namespace tenon::ops {

const Catalogue& builtin_catalogue() {
  static const Catalogue catalogue = [] {
    Catalogue list;
#define TENON_OP(Op) list.add(Op::def());
    TENON_OPS(TENON_OP)
#undef TENON_OP
    return list;
  }();
  return catalogue;
}

}  // namespace tenon::ops
