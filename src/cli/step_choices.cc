#include "cli/step_choices.h"

#include <algorithm>

#include "base/checked.h"
#include "base/text.h"
#include "cli/text_table.h"
#include "device/gpu_survey.h"
#include "runtime/backend_loader.h"
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
             other.first->variant == choice.variant && other.first->refused == choice.refused;
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
    std::string name = entry.first->implementation;
    if (!entry.first->variant.empty()) name += " " + entry.first->variant;
    if (entry.first->by_tactic) name += " (tactic)";
    rows.push_back({std::to_string(entry.count), entry.first->op, entry.first->device, name,
                    entry.first->module});
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
  json.set("implementation", choice.implementation).set("variant", choice.variant);
  json.set("by_tactic", choice.by_tactic).set("refused", std::move(refused));
  return json;
}

// The choices of every stage, and what they were made with.
struct Choices {
  std::vector<std::pair<std::string, std::vector<runtime::StepChoice>>> stages;
  std::string made_on;               // the device's description
  std::vector<std::string> skipped;  // tactics
};

Choices choices_on_device(const std::shared_ptr<const plan::PlanFile>& file, int64_t tokens,
                          const device::DeviceId& device) {
  Choices result;
  auto session = runtime::Session::open(file, {.devices = {device}});
  result.made_on = session->device().description();
  for (const plan::Stage& stage : file->plan().stages) {
    result.stages.emplace_back(stage.name,
                               session->stage(stage.name).choices(symbols_for(stage, tokens)));
  }
  result.skipped = session->tactics().skipped();
  return result;
}

// By the lists alone. What depends on the card (tactics, libraries that are not found here) may
// come out otherwise there.
Choices choices_without_device(const std::shared_ptr<const plan::PlanFile>& file, int64_t tokens) {
  Choices result;
  const runtime::GpuBackend& gpu = runtime::gpu_backend();
  std::vector<runtime::Backend> backends = {{"cuda", gpu.library->implementations()}};
  result.made_on = "no GPU here: what the kernels say without one; a card decides about tactics";
  for (const plan::Stage& stage : file->plan().stages) {
    SymbolValues bounds = symbols_for(stage, tokens);
    result.stages.emplace_back(stage.name, runtime::bind_stage(stage, bounds, backends).choices);
  }
  return result;
}

Choices choices_of(const std::shared_ptr<const plan::PlanFile>& file, int64_t tokens,
                   const device::DeviceId& device) {
  if (device.kind == device::Kind::Cpu) return choices_on_device(file, tokens, device);
  const runtime::GpuBackend& gpu = runtime::gpu_backend();
  bool has_card = gpu.library && !device::gpu_refusal(gpu.library->survey(), device.index);
  // Without the library there is nothing to ask; opening says what is missing.
  if (has_card || !gpu.library) return choices_on_device(file, tokens, device);
  return choices_without_device(file, tokens);
}

}  // namespace

View step_choices(std::shared_ptr<const plan::PlanFile> file, int64_t tokens,
                  const device::DeviceId& device) {
  View view;
  data::Json list = data::Json::array(), skipped = data::Json::array();
  Choices choices = choices_of(file, tokens, device);
  view.text = "device " + escape_for_message(choices.made_on) + "\n";
  for (const auto& [stage, of_stage] : choices.stages) {
    view.text += describe(stage, of_stage);
    for (const runtime::StepChoice& choice : of_stage) list.push_back(to_json(stage, choice));
  }
  for (const std::string& line : choices.skipped) {
    view.text += "tactic skipped: " + escape_for_message(line) + "\n";
    skipped.push_back(line);
  }
  view.json.set("device", device.to_string()).set("made_on", choices.made_on);
  view.json.set("tokens", tokens).set("choices", std::move(list));
  view.json.set("tactics_skipped", std::move(skipped));
  return view;
}

}  // namespace tenon::cli
