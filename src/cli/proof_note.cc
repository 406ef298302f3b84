#include "cli/proof_note.h"

#include <algorithm>

#include "base/text.h"

namespace tenon::cli {

std::string proof_note(const plan::PlanFile& file, const device::Device& device) {
  std::string here = device.fingerprint();
  std::vector<std::string> elsewhere;
  const data::Json& entries = file.evidence().entries;
  if (entries.is_array()) {
    for (const data::Json& entry : entries.as_array("evidence")) {
      const data::Json* result = entry.find("result");
      if (entry.get_string("kind", "") != "fidelity" || !result) continue;
      if (!result->get_bool("passed", false)) continue;
      std::string there = result->get_string("fingerprint", "");
      if (there == here) return "";
      if (std::find(elsewhere.begin(), elsewhere.end(), there) == elsewhere.end())
        elsewhere.push_back(there);
    }
  }
  if (elsewhere.empty()) return "this plan has no fidelity proof";
  return "this plan was proven on " + join(elsewhere, " and ") + ", not on " + here;
}

}  // namespace tenon::cli
