#include "cli/proof_note.h"

#include "base/text.h"
#include "device/device.h"

namespace tenon::cli {
namespace {

// The number of threads does not change what kernels compute.
std::string without_threads(const std::string& description) {
  std::vector<std::string> parts;
  for (const std::string& part : split(description, ',')) {
    if (!part.ends_with(" threads")) parts.push_back(part);
  }
  return join(parts, ",");
}

}  // namespace

std::string proof_note(const plan::PlanFile& file) {
  std::string here = without_threads(device::cpu_device().description()), elsewhere;
  const data::Json& entries = file.evidence().entries;
  if (entries.is_array()) {
    for (const data::Json& entry : entries.as_array("evidence")) {
      const data::Json* result = entry.find("result");
      if (entry.get_string("kind", "") != "fidelity" || !result) continue;
      if (!result->get_bool("passed", false)) continue;
      std::string device = without_threads(result->get_string("device", ""));
      if (device == here) return "";
      elsewhere = device;
    }
  }
  if (elsewhere.empty()) return "this plan has no fidelity proof";
  return "this plan was proven on " + elsewhere + ", not on " + here;
}

}  // namespace tenon::cli
