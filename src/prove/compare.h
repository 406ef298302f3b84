#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "data/json.h"
#include "prove/repair.h"
#include "prove/tensor_compare.h"

namespace tenon::prove {

struct CompareOptions {
  std::string plan;
  // A model folder (its unfused f32 graph on the CPU), a golden file of the original
  // implementation, or another plan.
  std::string against;
  device::DeviceId device = {}, against_device = {};
  std::string check_file = {};  // prompts; "": those of the fidelity gate, or the golden file's
  bool layers = false;
  int64_t tokens = 32;  // of the first sequence, for layers: bounds the memory of the read-out
  // Budgets other than those the plan was built with.
  std::optional<double> max_error = {}, max_kld = {}, min_same_top = {};
};

struct Comparison {
  std::string check_data;  // where the prompts come from
  std::string dtype;       // of the plan
  data::Json against;      // what the reference is
  std::string device;      // description
  int64_t sequences = 0, tokens = 0;
  metrics::ErrorStats logits;  // of all compared rows
  metrics::KldStats kld;
  std::optional<TensorComparison> layers;
  Repair repair;                      // where the plan misses its budget and layers were compared
  std::vector<std::string> failures;  // one line a broken budget
};

// Throws what opening the plan or the reference throws.
Comparison compare(const CompareOptions& options, Progress& progress);

data::Json to_json(const metrics::ErrorStats& stats);
data::Json to_json(const Comparison& comparison);

}  // namespace tenon::prove
