#include "ops/matmul.h"

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

void run(const ops::RunArgs& args) {
  const ops::Matmul& op = ops::attributes_of<ops::Matmul>(args);
  Rows a(args.inputs[0]), b(args.inputs[1]), y(args.outputs[0]);
  int rank = args.inputs[0].rank();
  int64_t m = args.inputs[0].extents[rank - 2], n = y.columns(), k = a.columns();
  int64_t b_rows = args.inputs[1].extents[rank - 2];
  for (int64_t row = 0; row < y.count(); ++row) {
    int64_t first = row / m * b_rows;  // of this batch, in b
    for (int64_t column = 0; column < n; ++column) {
      double sum = 0;
      for (int64_t i = 0; i < k; ++i) {
        double factor = op.transpose_b ? b.get(first + column, i) : b.get(first + i, column);
        sum += a.get(row, i) * factor;
      }
      y.set(row, column, sum);
    }
  }
}

}  // namespace

const ops::Implementation kMatmul = {
    .name = "matmul__reference",
    .op = ops::Matmul::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 1}, {0});
        },
    .prepare = ops::prepare_attributes<ops::Matmul>,
    .run = run,
};

}  // namespace tenon::reference
