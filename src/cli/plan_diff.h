#pragma once

#include <string>
#include <vector>

#include "cli/view.h"
#include "plan/plan_file.h"

namespace tenon::cli {

// One thing that two plans do not share. An empty side: it is not there.
struct Difference {
  std::string place;  // "precision.dtype", "constant lm_head.weight", "stage decoder, step 12"
  std::string before, after;
};

// Sections by size and digest; constants by type, shape, recipe and bytes; steps; settings.
std::vector<Difference> differences(const plan::PlanFile& before, const plan::PlanFile& after);

// The parts that need no file, for tests.
void compare_json(const std::string& place, const data::Json& before, const data::Json& after,
                  std::vector<Difference>& found);
void compare_lines(const std::string& place, const std::vector<std::string>& before,
                   const std::vector<std::string>& after, std::vector<Difference>& found);

View diff_view(const plan::PlanFile& before, const plan::PlanFile& after);

}  // namespace tenon::cli
