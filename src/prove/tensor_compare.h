#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/check_data.h"
#include "metrics/error_stats.h"
#include "metrics/kl_divergence.h"
#include "runtime/session.h"

namespace tenon::prove {

// Tensors of a reference run by the model's own names, f32.
struct ReferenceTensors {
  std::map<std::string, Tensor> tensors;
  std::vector<std::string> order;  // as they were made
};
// Every named float tensor of a run over the data.
ReferenceTensors capture_tensors(runtime::StageRunner& decoder, const compiler::CheckData& data);
// "layer/..." of a golden file, their first `tokens` rows.
ReferenceTensors golden_tensors(const compiler::CheckData& data, int64_t tokens);

// One tensor that a fused step of the plan wrote and the reference has too.
struct ComparedTensor {
  std::string name;  // in the model's own names
  size_t step = 0;
  std::string op, module, implementation, device;
  DType dtype = DType::F32;
  metrics::ErrorStats own;          // of this step alone: it worked on the reference's values
  metrics::ErrorStats accumulated;  // as the plan runs, with what came before
  double limit = 0;   // the relative norm its own error may have: what its peers and its type have
  double excess = 0;  // own relative norm over the limit; infinite where it is not finite
};

struct TensorComparison {
  std::vector<ComparedTensor> tensors;      // in the order of the plan's steps
  std::vector<size_t> ranking;              // indices, largest excess first
  int first_offender = -1;                  // the first whose excess is above 1
  std::vector<std::string> not_observable;  // tensors of the reference that fusion removed
  // Whether the outputs were the same bits with and without the read-out, on the same
  // implementations.
  bool fusion_unchanged = false;
};

// Runs the plan three times over the data: without read-out, with it, and once more with every
// tensor replaced by the reference's after it was compared, so that an error neither hides behind
// nor spreads from those before it. Steps and fusion are the shipped ones each time.
TensorComparison compare_tensors(runtime::StageRunner& plan, const compiler::CheckData& data,
                                 const ReferenceTensors& reference, DType precision);

}  // namespace tenon::prove
