#include "passes/pipeline.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/text.h"
#include "passes/passes.h"

namespace tenon::passes {
namespace {

// glu and qkv look for plain linears, so they come before the activation and residual moves in.
constexpr Pass kPasses[] = {
    {"remove_no_op_casts", "removes casts to the type a value has already", remove_no_op_casts},
    {"remove_dead", "removes nodes that nothing reads", remove_dead},
    {"glu", "kind(linear(x)) * linear(x) -> one linear and glu", fuse_glu},
    {"qkv", "q, k, v projections, rope, kv_append -> one linear and rope_kv_append", fuse_qkv},
    {"linear_activation", "unary(linear(x)) -> linear with activation", fuse_linear_activation},
    {"linear_residual", "linear(x) + r -> linear with residual", fuse_linear_residual},
    {"norm_residual", "norm(a + r) -> norm with residual and sum", fuse_norm_residual},
    {"precision", "weights, matmul activations and caches in the asked type", apply_precision},
    {"remove_no_op_casts", "removes the casts that the precision made needless",
     remove_no_op_casts},
};

void check_options(const PassOptions& options) {
  DType precision = options.precision;
  if (precision != DType::F32 && precision != DType::BF16 && precision != DType::F16) {
    throw Error(ErrorCode::Usage, "unknown precision")
        .got(dtype_name(precision))
        .accepted("f32, bf16, f16");
  }
  std::vector<std::string> names;
  for (const Pass& pass : kPasses) names.emplace_back(pass.name);
  for (const std::string& name : options.disabled) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    std::vector<std::string> nearest = nearest_names(name, names);
    throw Error(ErrorCode::Usage, "unknown pass")
        .got(name)
        .accepted(join(nearest.empty() ? names : nearest, ", "));
  }
}

PassReport run_pass(const Pass& pass, ir::Graph& graph, const PassOptions& options) {
  auto started = std::chrono::steady_clock::now();
  size_t changes = 0;
  try {
    changes = pass.run(graph, options);
    ir::verify(graph);
  } catch (Error& error) {
    error.within("pass " + std::string(pass.name));
    throw;
  }
  std::chrono::duration<double> taken = std::chrono::steady_clock::now() - started;
  return {std::string(pass.name), changes, taken.count()};
}

}  // namespace

std::span<const Pass> pass_list() {
  return kPasses;
}

std::vector<PassReport> run_passes(ir::Graph& graph, const PassOptions& options) {
  check_options(options);
  std::vector<PassReport> reports;
  for (const Pass& pass : kPasses) {
    const std::vector<std::string>& off = options.disabled;
    if (std::find(off.begin(), off.end(), pass.name) != off.end()) continue;
    reports.push_back(run_pass(pass, graph, options));
  }
  return reports;
}

}  // namespace tenon::passes
