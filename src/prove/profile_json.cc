#include "prove/profile.h"

namespace tenon::prove {
namespace {

using data::Json;

Json to_json(const ProfiledStep& step) {
  Json json = Json::object();
  json.set("step", static_cast<int64_t>(step.step)).set("op", step.op).set("module", step.module);
  json.set("name", step.name).set("implementation", step.implementation);
  json.set("device", step.device).set("seconds", step.seconds);
  json.set("bytes", step.cost.bytes).set("flops", step.cost.flops);
  json.set("least_seconds", step.least_seconds);
  return json;
}

Json to_json(const std::vector<ProfileGroup>& groups) {
  Json list = Json::array();
  for (const ProfileGroup& group : groups) {
    Json json = Json::object();
    json.set("name", group.name).set("steps", group.steps).set("seconds", group.seconds);
    json.set("bytes", group.bytes).set("flops", group.flops);
    list.push_back(std::move(json.set("least_seconds", group.least_seconds)));
  }
  return list;
}

Json to_json(const std::vector<Forecast>& forecasts) {
  Json list = Json::array();
  for (const Forecast& entry : forecasts) {
    Json json = Json::object();
    json.set("kind", entry.kind).set("share", entry.share).set("best_gain", entry.best_gain);
    list.push_back(std::move(json.set("share_of_roofline", entry.of_roofline)));
  }
  return list;
}

Json to_json(const PhaseProfile& phase) {
  Json steps = Json::array(), json = Json::object();
  for (const ProfiledStep& step : phase.steps) steps.push_back(to_json(step));
  json.set("name", phase.name).set("batch", phase.batch.seqs);
  json.set("tokens_each", phase.batch.tokens_each).set("context", phase.batch.context);
  json.set("seconds", phase.seconds).set("run_seconds", phase.run_seconds);
  json.set("by_kind", to_json(group_by_kind(phase)));
  json.set("by_layer", to_json(group_by_layer(phase)));
  return json.set("forecast", to_json(forecast(phase))).set("steps", std::move(steps));
}

Json metadata(const char* what, int64_t process, const std::string& name) {
  Json arguments = Json::object(), event = Json::object();
  arguments.set("name", name);
  event.set("name", what).set("ph", "M").set("pid", process).set("tid", 1);
  return event.set("args", std::move(arguments));
}

}  // namespace

Json to_json(const Profile& profile) {
  Json phases = Json::array(), json = Json::object();
  for (const PhaseProfile& phase : profile.phases) phases.push_back(to_json(phase));
  json.set("model", profile.model).set("dtype", profile.dtype);
  json.set("device_description", profile.device).set("how", profile.how);
  return json.set("ceilings", to_json(profile.ceilings)).set("phases", std::move(phases));
}

Json to_trace(const Profile& profile) {
  Json events = Json::array();
  int64_t process = 0;
  for (const PhaseProfile& phase : profile.phases) {
    ++process;
    events.push_back(metadata("process_name", process, profile.model + " " + phase.name));
    events.push_back(metadata("thread_name", process, profile.device));
    double at = 0;  // microseconds
    for (const ProfiledStep& step : phase.steps) {
      Json arguments = Json::object(), event = Json::object();
      arguments.set("op", step.op).set("module", step.module);
      arguments.set("implementation", step.implementation).set("bytes", step.cost.bytes);
      arguments.set("flops", step.cost.flops);
      arguments.set("share_of_roofline",
                    step.seconds > 0 ? step.least_seconds / step.seconds : 0.0);
      event.set("name", step.module.empty() ? step.op : step.module).set("cat", step.op);
      event.set("ph", "X").set("ts", at).set("dur", 1e6 * step.seconds);
      event.set("pid", process).set("tid", 1);
      events.push_back(std::move(event.set("args", std::move(arguments))));
      at += 1e6 * step.seconds;
    }
  }
  Json trace = Json::object();
  return trace.set("traceEvents", std::move(events)).set("displayTimeUnit", "ms");
}

}  // namespace tenon::prove
