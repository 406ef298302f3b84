#include "cli/step_choices.h"

#include <algorithm>

#include "base/checked.h"
#include "base/text.h"
#include "cli/text_table.h"
#include "runtime/session.h"

namespace tenon::cli {
namespace {

constexpr int64_t kBlockSize = 16;  // the engine's default

// One sequence of `tokens` with a cache to match. Symbols of other pipelines count one.
SymbolValues symbols_for(const plan::Stage& stage, int64_t tokens) {
  std::vector<std::string> names;
  for (const plan::ValueInfo& value : stage.values) {
    for (const Dim& dim : value.type.shape) dim.collect_symbols(names);
  }
  SymbolValues symbols;
  for (const std::string& name : names) symbols[name] = 1;
  auto set = [&](const char* name, int64_t value) {
    if (auto found = symbols.find(name); found != symbols.end()) found->second = value;
  };
  set("tokens", tokens);
  set("block_size", kBlockSize);
  set("max_blocks", ceil_div(tokens, kBlockSize));
  set("cache_blocks", ceil_div(tokens, kBlockSize));
  set("history_tokens", tokens);
  set("embed_rows", 0);
  return symbols;
}

// Steps that chose alike, so that 32 equal layers are one row.
struct Group {
  const runtime::StepChoice* first = nullptr;
  int64_t count = 0;
};

std::vector<Group> group(const std::vector<runtime::StepChoice>& choices) {
  std::vector<Group> groups;
  for (const runtime::StepChoice& choice : choices) {
    auto same = std::find_if(groups.begin(), groups.end(), [&](const Group& other) {
      return other.first->op == choice.op && other.first->device == choice.device &&
             other.first->implementation == choice.implementation &&
             other.first->refused == choice.refused;
    });
    if (same == groups.end()) same = groups.insert(groups.end(), {&choice, 0});
    ++same->count;
  }
  return groups;
}

std::string describe(const std::string& stage, const std::vector<runtime::StepChoice>& choices) {
  std::vector<std::vector<std::string>> rows = {
      {"steps", "op", "device", "implementation", "first of them"}};
  for (const Group& entry : group(choices)) {
    rows.push_back({std::to_string(entry.count), entry.first->op, entry.first->device,
                    entry.first->implementation, entry.first->module});
    for (const std::string& refused : entry.first->refused) {
      rows.push_back({"", "", "", "  not " + refused});
    }
  }
  return "stage " + escape_for_message(stage) + "\n" + text_table(rows, "r");
}

data::Json to_json(const std::string& stage, const runtime::StepChoice& choice) {
  data::Json refused = data::Json::array(), json = data::Json::object();
  for (const std::string& reason : choice.refused) refused.push_back(reason);
  json.set("stage", stage).set("step", static_cast<int64_t>(choice.step)).set("op", choice.op);
  json.set("module", choice.module).set("device", choice.device);
  json.set("implementation", choice.implementation).set("refused", std::move(refused));
  return json;
}

}  // namespace

View step_choices(std::shared_ptr<const plan::PlanFile> file, int64_t tokens,
                  const device::DeviceId& device) {
  View view;
  data::Json list = data::Json::array();
  auto session = runtime::Session::open(file, {.devices = {device}});
  for (const plan::Stage& stage : file->plan().stages) {
    const std::vector<runtime::StepChoice>& choices =
        session->stage(stage.name).choices(symbols_for(stage, tokens));
    view.text += describe(stage.name, choices);
    for (const runtime::StepChoice& choice : choices) list.push_back(to_json(stage.name, choice));
  }
  view.json.set("device", device.to_string()).set("tokens", tokens);
  view.json.set("choices", std::move(list));
  return view;
}

}  // namespace tenon::cli
