#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace tenon::cli {

// After the figures were printed: exit code 5 where a budget was missed.
inline void throw_if_failed(const std::vector<std::string>& failures, std::string_view what,
                            std::string_view fix) {
  if (failures.empty()) return;
  throw Error(ErrorCode::ProofFailed, what).got(join(failures, "; ")).fix(fix);
}

}  // namespace tenon::cli
