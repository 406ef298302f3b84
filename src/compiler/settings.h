#pragma once

#include "compiler/build.h"
#include "compiler/gate.h"
#include "compiler/stage_gate.h"
#include "passes/pipeline.h"
#include "plan/plan.h"

namespace tenon::compiler {

// What the options and the model settle before a graph is touched.
struct BuildSettings {
  DType precision = DType::F32;
  int64_t max_batch_size = 0, max_seq_len = 0;
  std::optional<passes::Quantisation> quantisation;
  GateBudget budget;         // of language models
  StageBudget stage_budget;  // of others
};

// Throws ErrorCode::Usage listing every option that cannot be met.
BuildSettings settle(const BuildOptions& options, const ImportedModel& model);

// "none", "w8a8 symmetric", "w4a16 g32 asymmetric".
std::string describe(const std::optional<passes::Quantisation>& quantisation);

// The descriptive part of a plan: everything but stages, constants and graphs.
plan::Plan describe_plan(const BuildOptions& options, const BuildSettings& settings,
                         const ImportedModel& model);

// The ranges of the symbols of a model's own stages, and of the sampling stage.
std::vector<plan::SymbolRange> stage_symbols(const ir::Graph& stage, const BuildSettings& settings,
                                             const models::BuiltModel& model);
std::vector<plan::SymbolRange> sample_symbols(const BuildSettings& settings);

}  // namespace tenon::compiler
