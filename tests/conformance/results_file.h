#pragma once

#include <string>

namespace tenon::conformance {

// What ran and how it ended, as JSON: {"format", "cpu", "gpu", "implementations": {name: {"op",
// "run", "passed", "skipped", "bound_used", "cases": {name: share}}}}. A case's share is how much
// of its derived bound was used; -1 where it failed. Cases are listed of what ran on the GPU: the
// others run again on every machine.
void write_results(const std::string& path);

}  // namespace tenon::conformance
