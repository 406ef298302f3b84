#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plan/plan.h"

namespace tenon::plan {

// The JSON sections of a plan file. Writing is deterministic; reading refuses unknown fields,
// except in files of a newer minor version (`strict` false). Errors name the place: "stages: [0]:
// step 3".

// The tree of a section; refuses texts whose tree would need much more memory than the text.
data::Json parse_section(std::string_view text);
// The text of a section; throws ErrorCode::BadInput where it would not be UTF-8, hence not
// readable.
std::string json_text(const data::Json& json, std::string_view section_name);
std::string write_plan_section(const Plan& plan);
std::string write_stages_section(const std::vector<Stage>& stages);
std::string write_constants_section(const std::vector<Constant>& constants);

void read_plan_section(std::string_view text, bool strict, Plan& plan);
std::vector<Stage> read_stages_section(std::string_view text, bool strict);
std::vector<Constant> read_constants_section(std::string_view text, bool strict);

}  // namespace tenon::plan
