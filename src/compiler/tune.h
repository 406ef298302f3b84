#pragma once

#include <string>
#include <vector>

#include "base/progress.h"
#include "data/json.h"
#include "device/device.h"
#include "plan/tactics.h"

namespace tenon::compiler {

struct TuneOptions {
  std::string plan;    // the plan file
  std::string output;  // the tactics file; "": PLAN.tactics beside the plan
  device::DeviceId device;
  // Sizes to measure. Of a language plan sequences that decode together and lengths of prompts;
  // empty: powers of two up to the plan's batch, and 64 to 512 tokens. Of another plan prompts that
  // are decoded together and points of each, paddings included; empty: 1 and 64, and 2.
  std::vector<int64_t> batches, prompts;
  // Positions a sequence may have; 0: what the plan allows, at most 2048. Of language plans only.
  int64_t context = 0;
  double least_gain = 0.03;  // a tactic must be faster by this share, or the plan's own order stays
  int rounds = 5;            // of each measurement; the median counts
};

struct TuneResult {
  std::string path;
  plan::TacticsFile tactics;
  data::Json report = data::Json::object();  // every candidate with its time: what --json prints
};

// Measures on the device what each step can run on, and keeps what is faster than the plan's own
// order of preference. The result is proven there before it is written (tune_gate.h,
// tune_stages.cc). Throws ErrorCode::ProofFailed where that fails; nothing is written then.
TuneResult tune(const TuneOptions& options, Progress& progress);

}  // namespace tenon::compiler
