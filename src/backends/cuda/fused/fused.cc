#include "ops/fused.h"

#include <algorithm>

#include "backends/cuda/cuda_error.h"
#include "backends/cuda/fused/kernel_cache.h"
#include "backends/cuda/fused/source.h"
#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"
#include "base/log.h"

// A chain as one kernel of its own, compiled for the card at hand when the plan is bound. The code
// never comes from the plan: it is made here from the expression.
namespace tenon::cuda {
namespace {

std::string current_architecture() {
  int device = 0, major = 0, minor = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "capability");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "capability");
  return "sm_" + std::to_string(10 * major + minor);
}

// Whether NVRTC makes code for this card: an NVRTC that is older than the card does not.
std::string compiler_problem() {
  std::string why;
  const Nvrtc* api = nvrtc(why);
  if (!api) return why;
  try {
    compile_cubin(*api, "extern \"C\" __global__ void probe() {}", current_architecture());
    return "";
  } catch (const Error& error) {
    return std::string("NVRTC does not know this card: ") + error.what();
  }
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_floats(desc, {0, 1, 2, 3, 4, 5, 6, 7}, {0});
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::Fused>(*desc.attributes);
  std::string problem = fused_source_problem(ops::Expression::parse(op.expression));
  if (!problem.empty()) return ops::Support::no(problem);
  static const std::string missing = [] {
    std::string found = compiler_problem();
    if (!found.empty()) log_warn("fused chains run as separate steps on the GPU: " + found);
    return found;
  }();
  return missing.empty() ? ops::Support::yes() : ops::Support::no(missing);
}

std::shared_ptr<const void> prepare(const ops::OpDesc& desc) {
  auto op = ops::read_attributes<ops::Fused>(*desc.attributes);
  FusedSource source{ops::Expression::parse(op.expression), {}, desc.outputs[0].dtype};
  for (const ops::TensorDesc& input : desc.inputs) source.inputs.push_back(input.dtype);
  std::string why;
  const Nvrtc* api = nvrtc(why);
  if (!api) throw Error(ErrorCode::Internal, "prepared without a compiler").got(why);
  return compile_in_background(*api, fused_source(source), current_architecture());
}

// Threads over rows (y) and units of columns (x), as cover() of the other kernels.
LaunchShape shape_of(const FusedParams& params) {
  constexpr int64_t kThreads = 256, kMostAcross = 1 << 16, kMostDown = 65535;
  int64_t wide = 1;
  while (wide < params.units && wide < kThreads) wide *= 2;
  int64_t high = kThreads / wide;
  auto blocks = [](int64_t count, int64_t size, int64_t most) {
    return static_cast<unsigned>(std::min((count + size - 1) / size, most));
  };
  LaunchShape shape;
  shape.grid = dim3(blocks(params.units, wide, kMostAcross), blocks(params.rows, high, kMostDown));
  shape.block = dim3(static_cast<unsigned>(wide), static_cast<unsigned>(high));
  shape.overlaps_previous = true;
  return shape;
}

void run(const ops::RunArgs& args) {
  if (args.outputs[0].count() == 0) return;
  cudaStream_t stream = stream_of(args);
  FusedCall call = fused_call(args.inputs, args.outputs[0]);
  // The prepared object is shared by all bindings of the chain; loading happens once, locked.
  auto& compiled = *const_cast<CompiledSource*>(static_cast<const CompiledSource*>(args.prepared));
  cudaKernel_t kernel = compiled.kernel(call.vectors ? kFusedVectorKernel : kFusedSingleKernel);
  void* params[] = {&call.params, nullptr};
  launch_raw(reinterpret_cast<const void*>(kernel), kFused.name, shape_of(call.params), stream,
             params);
}

}  // namespace

const ops::Implementation kFused = {.name = "fused__any__256x8__nvrtc",
                                    .op = ops::Fused::kName,
                                    .supports = supports,
                                    .prepare = prepare,
                                    .run = run};

}  // namespace tenon::cuda
