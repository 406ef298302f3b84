#include "ops/embedding.h"

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

void run(const ops::RunArgs& args) {
  const TensorView& ids = args.inputs[0];
  TensorView embeds = input_or_none(args, 2);
  Rows table(args.inputs[1]), y(args.outputs[0]);
  int64_t embed_rows = embeds.defined() ? embeds.extents[0] : 0;
  for (int64_t t = 0; t < ids.extents[0]; ++t) {
    int64_t id = load_i32(ids, t);
    if (id >= table.count() || -1 - id >= embed_rows) {
      throw Error(ErrorCode::BadInput, "id is outside the table and the given embeddings")
          .at("ids")
          .got(std::to_string(id));
    }
    y.set_row(t, id >= 0 ? table.get_row(id) : Rows(embeds).get_row(-1 - id));
  }
}

}  // namespace

const ops::Implementation kEmbedding = {
    .name = "embedding__reference",
    .op = ops::Embedding::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {1, 2}, {0});
        },
    .prepare = ops::prepare_attributes<ops::Embedding>,
    .run = run,
};

}  // namespace tenon::reference
