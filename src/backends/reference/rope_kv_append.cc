#include "backends/reference/impl_list.h"
#include "backends/reference/paged_cache.h"
#include "backends/reference/rotate.h"
#include "ops/kv_cache.h"

namespace tenon::reference {
namespace {

// Each value is rounded once, into q or into the cache: k is not rounded to the type of qkv first.
void run(const ops::RunArgs& args) {
  const ops::RopeKvAppend& op = ops::attributes_of<ops::RopeKvAppend>(args);
  const TensorView &positions = args.inputs[1], &inv_freq = args.inputs[2];
  Rows qkv(args.inputs[0]), q(args.outputs[0]);
  PagedCache cache{args.inputs[6], args.inputs[5]};
  int64_t k_first = op.heads * op.head_dim, v_first = k_first + op.kv_heads * op.head_dim;
  for_each_token(args.inputs[3], args.inputs[4], [&](int64_t t, int64_t seq, int64_t position) {
    std::vector<double> values = qkv.get_row(t);
    for (int64_t first = 0; first < v_first && inv_freq.defined(); first += op.head_dim) {
      rotate_head(values, first, load_i32(positions, t), inv_freq, op.interleaved, op.scale);
    }
    q.set_row(t, values);
    cache.set_token(CachePart::K, seq, position, values, k_first);
    cache.set_token(CachePart::V, seq, position, values, v_first);
  });
}

}  // namespace

const ops::Implementation kRopeKvAppend = {
    .name = "rope_kv_append__reference",
    .op = ops::RopeKvAppend::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 2, 6}, {0});
        },
    .prepare = ops::prepare_attributes<ops::RopeKvAppend>,
    .run = run,
};

}  // namespace tenon::reference
