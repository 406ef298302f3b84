#include "results_file.h"

#include <cmath>

#include "base/file.h"
#include "conformance.h"
#include "cuda_backend.h"
#include "data/json.h"
#include "device/device.h"

namespace tenon::conformance {
namespace {

using data::Json;

// Three digits say whether a bound is near.
double rounded(double share) {
  return std::round(share * 1000) / 1000;
}

Json to_json(const Count& count, bool with_cases) {
  Json json = Json::object();
  json.set("op", count.op).set("run", count.run).set("passed", count.passed);
  json.set("skipped", count.skipped).set("bound_used", rounded(count.worst_share));
  if (!with_cases) return json;
  Json cases = Json::object();
  for (const CaseResult& result : count.cases) {
    cases.set(result.name, result.passed ? rounded(result.share) : -1.0);
  }
  return json.set("cases", std::move(cases));
}

}  // namespace

void write_results(const std::string& path) {
  const CudaBackend& cuda = cuda_backend();
  Json implementations = Json::object();
  for (const ops::Implementation* implementation : all_implementations()) {
    std::string name(implementation->name);
    implementations.set(name, to_json(counts()[name], cuda.runs_on_device(*implementation)));
  }
  Json json = Json::object();
  json.set("format", 1).set("cpu", device::cpu_device().description());
  json.set("gpu", cuda.device ? Json(cuda.device->description()) : Json());
  json.set("implementations", std::move(implementations));
  AtomicFile file(path);
  file.append(json.dump(1) + "\n");
  file.commit();
}

}  // namespace tenon::conformance
