#include "compiler/tune.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "compiler/tune_subject.h"
#include "runtime/backend_loader.h"

namespace tenon::compiler {
namespace {

void prove(TuneSubject& subject, const TuneOptions& options, TuneResult& result,
           Progress& progress) {
  TuneGate gate = subject.prove(result.tactics.set);
  result.tactics.gate = gate.report;
  for (const std::string& line : gate.skipped) progress.note("note: skipped: " + line);
  if (gate.failures.empty()) return;
  throw Error(ErrorCode::ProofFailed, "the plan with these tactics failed its fidelity gate")
      .at(options.device.to_string())
      .got(join(gate.failures, "; "))
      .fix("nothing was written; the plan runs as before");
}

data::Json report_of(const TuneResult& result, const StepTuner& steps) {
  data::Json list = data::Json::array();
  for (const data::Json& entry : steps.measurements()) list.push_back(entry);
  data::Json json = data::Json::object();
  json.set("device", result.tactics.set.device).set("plan", result.tactics.plan);
  json.set("tactics", static_cast<int64_t>(result.tactics.set.tactics.size()));
  json.set("gate", result.tactics.gate).set("measurements", std::move(list));
  return json;
}

}  // namespace

void check_sizes(const std::vector<int64_t>& sizes, const char* option, int64_t most) {
  for (int64_t size : sizes) {
    if (size >= 1 && size <= most) continue;
    throw Error(ErrorCode::Usage, "size is out of range")
        .at(option)
        .got(std::to_string(size))
        .accepted("1 to " + std::to_string(most));
  }
}

TuneResult tune(const TuneOptions& options, Progress& progress) {
  device::Device& device = *runtime::open_backends(options.device).device;
  auto file = plan::PlanFile::open(options.plan);
  auto subject = file->plan().pipeline == "llm" ? make_language_subject(file, options, progress)
                                                : make_stages_subject(file, options, progress);
  StepTuner steps(options.least_gain, options.rounds, progress);
  subject->measure(steps);
  TuneResult result;
  result.path = options.output.empty() ? plan::tactics_path(options.plan) : options.output;
  result.tactics.set = {device.fingerprint(), steps.tactics()};
  result.tactics.plan = to_hex(file->identity());
  prove(*subject, options, result, progress);
  result.report = report_of(result, steps);
  AtomicFile out(result.path);
  out.append(plan::to_text(result.tactics));
  out.sync();
  out.commit();
  return result;
}

}  // namespace tenon::compiler
