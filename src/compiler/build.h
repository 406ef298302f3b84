#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "compiler/import_model.h"
#include "data/json.h"
#include "device/device.h"

namespace tenon::compiler {

struct BuildOptions {
  std::string model;           // a model folder, or a .safetensors file in one
  std::string base;            // the model that `model` is a published delta to; "": none
  std::string output;          // the plan file
  std::string name;            // what people call the model; "": the folder's name
  std::string dtype = "auto";  // auto (as the checkpoint is stored), f32, bf16, f16
  std::string quant = "none";  // none, w8a8, w4a16, w4a8: of the weights of linears
  int64_t group_size = 0;      // w4: 32, 64, 128; 0: 32
  bool asymmetric = false;     // zero points of their own
  int64_t max_batch_size = 8;
  int64_t max_seq_len = 0;  // 0: the model's context
  std::string check_file, golden_file;
  std::string repair_file;  // values and weights to keep in a wider type; "": none
  bool gate = true;
  std::vector<device::DeviceId> devices = {{}};  // where the gate runs the plan, one after another
  std::vector<std::string> tactics_files;        // of `tenon tune`, embedded in the plan
  // f16 only: types that hold what would overflow. Off for tests of what happens then.
  bool range_guard = true;
  bool keep_failed = false;   // leave a plan that failed its gate, as <output>.failed
  bool check_finite = false;  // read every weight first and refuse NaN and infinities
  // Budgets other than the defaults. Looser ones are recorded in the plan.
  std::optional<double> max_kld, max_error, min_same_top;
  // For tests: changes the optimised graph after the oracle was taken, as a wrong pass would.
  std::function<void(ir::Graph&)> plant_fault;
};

struct BuildEstimate {
  int64_t plan_bytes = 0, peak_memory_bytes = 0;
  double seconds = 0;
};

struct BuildResult {
  std::string plan_path;
  // Ledger, passes, gate, sizes, times, steps that run on the reference: what `--json` prints.
  data::Json report = data::Json::object();
};

// What a build would cost, without reading any weight. Throws ErrorCode::Unsupported where a device
// is not there, before any work.
BuildEstimate estimate(const BuildOptions& options);

// Import -> passes -> plan file -> gate. Throws ErrorCode::ProofFailed where the gate fails: no
// plan is left then, and an existing one at the output stays.
BuildResult build(const BuildOptions& options, Progress& progress);

}  // namespace tenon::compiler
