#include "ops/gather_rows.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/copy_rows.cuh"
#include "backends/cuda/kernels/support.h"

namespace tenon::cuda {
namespace {

struct PickRows {
  const int32_t* rows;
  int64_t step;
  __device__ int64_t operator()(int64_t row) const { return rows[row * step]; }
};

ops::Support supports(const ops::OpDesc& desc) {
  return support_floats(desc, {0}, {0});
}

void run(const ops::RunArgs& args) {
  const TensorView& rows = args.inputs[1];
  copy_rows(args, kGatherRows.name, args.inputs[0], args.outputs[0],
            PickRows{rows.as<const int32_t>(), rows.strides[0]});
}

}  // namespace

const ops::Implementation kGatherRows = {.name = "gather_rows__any__256x16b__sm80",
                                         .op = ops::GatherRows::kName,
                                         .supports = supports,
                                         .run = run};

}  // namespace tenon::cuda
