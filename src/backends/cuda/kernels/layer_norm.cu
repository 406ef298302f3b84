#include "ops/layer_norm.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/norm.cuh"

namespace tenon::cuda {
namespace {

ops::Support supports(const ops::OpDesc& desc) {
  return support_floats(desc, {0, 1, 2, 3}, {0, 1});
}

void run(const ops::RunArgs& args) {
  run_norm<NormKind::Layer>(args, {.x = args.inputs[0],
                                   .weight = args.inputs[1],
                                   .bias = input_or_none(args, 2),
                                   .residual = input_or_none(args, 3),
                                   .y = args.outputs[0],
                                   .sum = output_or_none(args, 1),
                                   .eps = ops::attributes_of<ops::LayerNorm>(args).eps,
                                   .name = kLayerNorm.name});
}

}  // namespace

const ops::Implementation kLayerNorm = {.name = "layer_norm__any__row__sm80",
                                        .op = ops::LayerNorm::kName,
                                        .supports = supports,
                                        .prepare = ops::prepare_attributes<ops::LayerNorm>,
                                        .run = run};

}  // namespace tenon::cuda
