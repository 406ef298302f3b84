#include "ops/binary.h"

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

using BinaryFunction = double (*)(double, double);

BinaryFunction binary_function(std::string_view kind) {
  if (kind == "add") return [](double a, double b) { return a + b; };
  if (kind == "sub") return [](double a, double b) { return a - b; };
  if (kind == "mul") return [](double a, double b) { return a * b; };
  if (kind == "div") return [](double a, double b) { return a / b; };
  throw Error(ErrorCode::Unsupported, "unknown kind").at("binary").got(kind);
}

void run(const ops::RunArgs& args) {
  BinaryFunction function = binary_function(ops::attributes_of<ops::Binary>(args).kind);
  const TensorView &a = args.inputs[0], &b = args.inputs[1], &y = args.outputs[0];
  for (int64_t i = 0; i < y.count(); ++i) {
    double left = load(a, broadcast_offset(a, y.extents, i));
    double right = load(b, broadcast_offset(b, y.extents, i));
    store(y, broadcast_offset(y, y.extents, i), function(left, right));
  }
}

}  // namespace

const ops::Implementation kBinary = {
    .name = "binary__reference",
    .op = ops::Binary::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 1}, {0});
        },
    .prepare = ops::prepare_attributes<ops::Binary>,
    .run = run,
};

}  // namespace tenon::reference
