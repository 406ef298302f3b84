#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/json.h"

namespace tenon::plan {

// One measured choice: every step of that signature runs on that implementation.
struct Tactic {
  std::string signature;       // runtime::step_signature()
  std::string implementation;  // its name
  std::string variant;         // "": the implementation's own choice
  // What tuning saw; not part of a plan.
  std::string instead_of;  // what the cost model would have taken; "": the same
  double seconds = 0, instead_of_seconds = 0;
  int64_t steps = 0;  // of the plan that have the signature
};

// The choices for one model of device. A set of another device is of no use here, and harms
// nothing: it is skipped.
struct TacticSet {
  std::string device;  // device::Device::fingerprint()
  std::vector<Tactic> tactics;

  const Tactic* find(std::string_view signature) const;
};

// What stands beside a plan as PLAN.tactics. Data only; damaged or foreign ones are refused as a
// whole, with ErrorCode::BadInput.
struct TacticsFile {
  TacticSet set;
  std::string plan;                        // identity of the plan that was tuned
  data::Json gate = data::Json::object();  // what the gate saw with these tactics
};

std::string to_text(const TacticsFile& file);
TacticsFile parse_tactics(std::string_view text);
// Reads and parses; errors name the file.
TacticsFile read_tactics_file(const std::string& path);
// The path of the file beside a plan.
std::string tactics_path(const std::string& plan_path);

// The sets a plan embeds, in a fixed order and without figures: equal choices give equal bytes.
data::Json to_json(const std::vector<TacticSet>& sets);
std::vector<TacticSet> tactic_sets_from_json(const data::Json& json);

}  // namespace tenon::plan
