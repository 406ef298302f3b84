#include "backends/reference/impl_list.h"
#include "backends/reference/paged_cache.h"
#include "ops/kv_cache.h"

namespace tenon::reference {
namespace {

void run(const ops::RunArgs& args) {
  Rows k(args.inputs[0]), v(args.inputs[1]);
  PagedCache cache{args.inputs[5], args.inputs[4]};
  for_each_token(args.inputs[2], args.inputs[3], [&](int64_t t, int64_t seq, int64_t position) {
    cache.set_token(CachePart::K, seq, position, k.get_row(t), 0);
    cache.set_token(CachePart::V, seq, position, v.get_row(t), 0);
  });
}

}  // namespace

const ops::Implementation kKvAppend = {
    .name = "kv_append__reference",
    .op = ops::KvAppend::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 1, 5}, {});
        },
    .prepare = ops::prepare_attributes<ops::KvAppend>,
    .run = run,
};

}  // namespace tenon::reference
