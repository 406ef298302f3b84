#pragma once

#include <string_view>

#include "base/file.h"
#include "plan/plan_format.h"

namespace tenon::plan {

// Writes `text` as the trailing evidence section of the plan in `file`, whose other sections
// `header` describes, then header and table. An older evidence section is cut off.
void put_evidence(AtomicFile& file, FileHeader& header, std::string_view text);

}  // namespace tenon::plan
