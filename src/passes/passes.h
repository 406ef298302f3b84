#pragma once

#include "passes/pipeline.h"

// Every pass function, so that pipeline.cc can list them: <group>/<name>.cc defines <name>.
namespace tenon::passes {

size_t remove_dead(ir::Graph& graph, const PassOptions& options);
size_t remove_no_op_casts(ir::Graph& graph, const PassOptions& options);
size_t fuse_glu(ir::Graph& graph, const PassOptions& options);
size_t fuse_qkv(ir::Graph& graph, const PassOptions& options);
size_t fuse_linear_activation(ir::Graph& graph, const PassOptions& options);
size_t fuse_linear_residual(ir::Graph& graph, const PassOptions& options);
size_t fuse_norm_residual(ir::Graph& graph, const PassOptions& options);
size_t apply_precision(ir::Graph& graph, const PassOptions& options);

}  // namespace tenon::passes
