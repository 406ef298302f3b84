#include "plan/plan.h"

#include "base/error.h"

namespace tenon::plan {

const Stage& find_stage(const Plan& plan, std::string_view name) {
  std::string known;
  for (const Stage& stage : plan.stages) {
    if (stage.name == name) return stage;
    known += (known.empty() ? "" : ", ") + stage.name;
  }
  throw Error(ErrorCode::BadInput, "plan has no such stage").got(name).accepted(known);
}

}  // namespace tenon::plan
