#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels/work.h"

namespace tenon::bench {

// One implementation measured at one case.
struct Result {
  std::string implementation;
  bool chosen = false;  // the one a session would take
  Measured measured;
  double bytes = 0, operations = 0;
  DType arithmetic = DType::F32;

  // Seconds that no version can beat: by what the ceilings of the same run say.
  double floor() const;
  // The median, over turns, of the floor by that turn's ceilings over its seconds; 0: no turns.
  // Like is compared with like where a clock changes, but a ceiling that something disturbed
  // counts, too.
  double share_in_turns() const;
  bool bound_by_reading() const;
  data::Json to_json() const;
  std::string line(const Case& what) const;

 private:
  double floor_by(const Ceilings& ceilings) const;
};

// Which implementations of an op are measured.
enum class Which { Chosen, All };

// Throws ErrorCode::Unsupported where no implementation does the case, and ErrorCode::Internal
// where an output was not wholly written.
std::vector<Result> measure_case(Machine& machine, const Case& what, Which which);

data::Json to_json(const Case& what, const std::vector<Result>& results);

}  // namespace tenon::bench
