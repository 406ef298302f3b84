#pragma once

#include <string>
#include <vector>

#include "base/progress.h"
#include "data/json.h"
#include "device/device.h"
#include "prove/ceilings.h"
#include "prove/step_cost.h"

namespace tenon::prove {

struct ProfileOptions {
  std::string plan;
  device::DeviceId device;
  int64_t batch = 1;
  int64_t prompt_tokens = 0;  // of the prompt phase; 0: 128, or what the plan has room for
  int64_t context = 0;        // positions in the token phase; 0: 256, or what the plan has room for
  int repeats = 20;           // of each measurement; the median counts
  bool prompt_phase = true, token_phase = true;
};

struct ProfiledStep {
  size_t step = 0;
  std::string op = {}, module = {}, name = {};  // name: of what it writes, in the model's own names
  std::string implementation = {}, device = {};
  double seconds = 0;
  StepCost cost = {};
  double least_seconds = 0;  // of a perfect kernel, by the ceilings of this run
};

// Steps that belong together: of one kind (op) or one layer ("model.layers.3").
struct ProfileGroup {
  std::string name = {};
  int64_t steps = 0;
  double seconds = 0, bytes = 0, flops = 0, least_seconds = 0;
};

struct PhaseProfile {
  std::string name;  // "prompt", "token"
  Batch batch;
  std::vector<ProfiledStep> steps = {};
  double seconds = 0;  // sum of the steps
  double run_seconds =
      0;  // of a whole run without any read-out: what the sum leaves out shows here
};

struct Profile {
  std::string model, dtype, device;
  std::string how;  // how single steps were timed
  Ceilings ceilings;
  std::vector<PhaseProfile> phases;
};

// On the CPU each step is timed where it runs, between its neighbours. On a GPU steps of equal
// sizes are timed together, one after another over their own weights, as a recorded graph: a clock
// around single launches would measure the launch.
Profile profile(const ProfileOptions& options, Progress& progress);

std::vector<ProfileGroup> group_by_kind(const PhaseProfile& phase);   // largest time first
std::vector<ProfileGroup> group_by_layer(const PhaseProfile& phase);  // in the model's order

// What a perfect kernel for a kind would save, largest gain first.
struct Forecast {
  std::string kind;
  double share = 0;        // of the phase's time
  double best_gain = 0;    // share of the phase's time that a perfect kernel would save
  double of_roofline = 0;  // its least time over its time now
};
std::vector<Forecast> forecast(const PhaseProfile& phase);

data::Json to_json(const Profile& profile);
// Chrome's trace format, which Perfetto opens: one process a phase, steps end to end.
data::Json to_trace(const Profile& profile);

}  // namespace tenon::prove
