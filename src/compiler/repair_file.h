#pragma once

#include <string>
#include <vector>

#include "compiler/choose_types.h"
#include "plan/plan.h"

namespace tenon::compiler {

// What `tenon compare --write-repair` suggests, or a person wrote: values, weights and states to
// keep in a wider type. {"types": [{"name": "...", "dtype": "f32", "reason": "..."}]}; other
// members are for people. Throws one ErrorCode::BadInput listing every wrong entry.
std::vector<TypeChoice> read_repair_file(const std::string& path);

// Throws ErrorCode::BadInput where the plan has nothing of a name, with the nearest ones: a repair
// that silently does nothing would look like one that does not help.
void check_repair(const std::vector<TypeChoice>& repair, const plan::Plan& plan,
                  const std::string& path);

}  // namespace tenon::compiler
