#include "plan/tactics.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "plan/json_fields.h"

namespace tenon::plan {
namespace {

using data::Json;

constexpr int64_t kFormat = 1;

void check_name(const std::string& text, std::string_view what, bool may_be_empty) {
  bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c >= 32 && c < 127; });
  if (printable && text.size() <= static_cast<size_t>(kLimits.tensor_name_bytes) &&
      (may_be_empty || !text.empty())) {
    return;
  }
  throw Error(ErrorCode::BadInput, "not a name").at(what).accepted("printable ASCII");
}

double seconds_of(const JsonFields& fields, std::string_view name) {
  const Json* value = fields.find(name);
  double seconds = value ? value->as_double(name) : 0;
  if (std::isfinite(seconds) && seconds >= 0) return seconds;
  throw Error(ErrorCode::BadInput, "not a time").at(name);
}

Json choice_json(const Tactic& tactic) {
  Json json = Json::object();
  json.set("step", tactic.signature).set("implementation", tactic.implementation);
  if (!tactic.variant.empty()) json.set("variant", tactic.variant);
  return json;
}

Tactic tactic_from_json(const Json& json) {
  JsonFields fields(json, true,
                    {"step", "implementation", "variant", "instead_of", "seconds",
                     "instead_of_seconds", "steps"});
  auto text_or_empty = [&](std::string_view name) {
    const Json* value = fields.find(name);
    return value ? value->as_string(name) : std::string();
  };
  Tactic tactic;
  tactic.signature = fields.text("step");
  tactic.implementation = fields.text("implementation");
  tactic.variant = text_or_empty("variant");
  tactic.instead_of = text_or_empty("instead_of");
  tactic.seconds = seconds_of(fields, "seconds");
  tactic.instead_of_seconds = seconds_of(fields, "instead_of_seconds");
  if (fields.find("steps")) tactic.steps = fields.number("steps");
  check_name(tactic.signature, "step", false);
  check_name(tactic.implementation, "implementation", false);
  check_name(tactic.variant, "variant", true);
  check_name(tactic.instead_of, "instead_of", true);
  return tactic;
}

std::vector<Tactic> tactics_from_json(const Json& list) {
  std::vector<Tactic> tactics;
  std::set<std::string> seen;
  read_items(list, "tactic", [&](const Json& item) {
    tactics.push_back(tactic_from_json(item));
    if (!seen.insert(tactics.back().signature).second) {
      throw Error(ErrorCode::BadInput, "two tactics for one step").got(tactics.back().signature);
    }
  });
  return tactics;
}

}  // namespace

const Tactic* TacticSet::find(std::string_view signature) const {
  for (const Tactic& tactic : tactics) {
    if (tactic.signature == signature) return &tactic;
  }
  return nullptr;
}

std::string to_text(const TacticsFile& file) {
  Json list = Json::array();
  for (const Tactic& tactic : file.set.tactics) {
    Json entry = choice_json(tactic);
    entry.set("seconds", tactic.seconds);
    if (!tactic.instead_of.empty()) {
      entry.set("instead_of", tactic.instead_of);
      entry.set("instead_of_seconds", tactic.instead_of_seconds);
    }
    entry.set("steps", tactic.steps);
    list.push_back(std::move(entry));
  }
  Json json = Json::object();
  json.set("tenon_tactics", kFormat).set("device", file.set.device).set("plan", file.plan);
  json.set("gate", file.gate).set("tactics", std::move(list));
  return json.dump(1) + "\n";
}

TacticsFile parse_tactics(std::string_view text) {
  Json json = data::parse_json(text);
  JsonFields fields(json, true, {"tenon_tactics", "device", "plan", "gate", "tactics"});
  if (fields.number("tenon_tactics") != kFormat) {
    throw Error(ErrorCode::BadInput, "tactics of another version")
        .got(std::to_string(fields.number("tenon_tactics")))
        .accepted(std::to_string(kFormat))
        .fix("tune again");
  }
  TacticsFile file;
  file.set.device = fields.text("device");
  check_name(file.set.device, "device", false);
  file.plan = fields.text("plan");
  file.gate = fields.at("gate");
  file.gate.as_object("gate");
  file.set.tactics = tactics_from_json(fields.at("tactics"));
  return file;
}

TacticsFile read_tactics_file(const std::string& path) {
  try {
    return parse_tactics(read_text_file(path, kLimits.plan_json_bytes));
  } catch (Error& error) {
    if (error.code() == ErrorCode::BadInput) error.within(path);
    throw;
  }
}

std::string tactics_path(const std::string& plan_path) {
  return plan_path + ".tactics";
}

data::Json to_json(const std::vector<TacticSet>& sets) {
  std::vector<const TacticSet*> in_order;
  for (const TacticSet& set : sets) in_order.push_back(&set);
  std::sort(in_order.begin(), in_order.end(),
            [](const TacticSet* a, const TacticSet* b) { return a->device < b->device; });
  Json list = Json::array();
  for (const TacticSet* set : in_order) {
    std::vector<Tactic> tactics = set->tactics;
    std::sort(tactics.begin(), tactics.end(),
              [](const Tactic& a, const Tactic& b) { return a.signature < b.signature; });
    Json choices = Json::array();
    for (const Tactic& tactic : tactics) choices.push_back(choice_json(tactic));
    Json entry = Json::object();
    entry.set("device", set->device).set("tactics", std::move(choices));
    list.push_back(std::move(entry));
  }
  return list;
}

std::vector<TacticSet> tactic_sets_from_json(const data::Json& json) {
  std::vector<TacticSet> sets;
  read_items(json, "tactic set", [&](const Json& item) {
    JsonFields fields(item, true, {"device", "tactics"});
    TacticSet set{fields.text("device"), tactics_from_json(fields.at("tactics"))};
    check_name(set.device, "device", false);
    for (const TacticSet& other : sets) {
      if (other.device == set.device) {
        throw Error(ErrorCode::BadInput, "two sets for one device").got(set.device);
      }
    }
    sets.push_back(std::move(set));
  });
  return sets;
}

}  // namespace tenon::plan
