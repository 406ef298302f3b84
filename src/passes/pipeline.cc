#include "passes/pipeline.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/text.h"

namespace tenon::passes {

// Every pass in the order it runs: the function of that name in <group>/, and one line for people.
// glu and qkv look for plain linears, so they come before the activation and residual moves in.
#define TENON_PASSES(X)                                                           \
  X(remove_no_op_casts, "removes casts to the type a value has already")          \
  X(remove_dead, "removes nodes that nothing reads")                              \
  X(glu, "kind(linear(x)) * linear(x) -> one linear and glu")                     \
  X(qkv, "q, k, v projections, rope, kv_append -> one linear and rope_kv_append") \
  X(linear_activation, "unary(linear(x)) -> linear with activation")              \
  X(linear_residual, "linear(x) + r -> linear with residual")                     \
  X(norm_residual, "norm(a + r) -> norm with residual and sum")                   \
  X(precision, "weights, matmul activations and caches in the asked type")        \
  X(remove_no_op_casts, "removes the casts that the precision made needless")     \
  X(quantise, "linears with weights of 8 or 4 bits where that is asked")          \
  X(fused_chain, "chains of unary, binary and cast -> one fused")

#define TENON_PASS(name, what) size_t name(ir::Graph& graph, const PassOptions& options);
TENON_PASSES(TENON_PASS)
#undef TENON_PASS

namespace {

constexpr Pass kPasses[] = {
#define TENON_PASS(name, what) {#name, what, name},
    TENON_PASSES(TENON_PASS)
#undef TENON_PASS
};

void check_options(const PassOptions& options) {
  DType wanted = options.precision;
  if (wanted != DType::F32 && wanted != DType::BF16 && wanted != DType::F16) {
    throw Error(ErrorCode::Usage, "unknown precision")
        .got(dtype_name(wanted))
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
