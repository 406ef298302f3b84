#include "ops/rms_norm.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/norm.cuh"

namespace tenon::cuda {
namespace {

ops::Support supports(const ops::OpDesc& desc) {
  return support_floats(desc, {0, 1, 2}, {0, 1});
}

void run(const ops::RunArgs& args) {
  run_norm<NormKind::Rms>(args, {.x = args.inputs[0],
                                 .weight = args.inputs[1],
                                 .bias = {},
                                 .residual = input_or_none(args, 2),
                                 .y = args.outputs[0],
                                 .sum = output_or_none(args, 1),
                                 .eps = ops::attributes_of<ops::RmsNorm>(args).eps,
                                 .name = kRmsNorm.name});
}

}  // namespace

const ops::Implementation kRmsNorm = {.name = "rms_norm__any__row__sm80",
                                      .op = ops::RmsNorm::kName,
                                      .supports = supports,
                                      .prepare = ops::prepare_attributes<ops::RmsNorm>,
                                      .run = run};

}  // namespace tenon::cuda
