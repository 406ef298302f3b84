#include "cli/plan_diff.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "cli/console.h"

namespace tenon::cli {
namespace {

using data::Json;
using plan::Plan;
using plan::PlanFile;

void compare_text(const std::string& place, const std::string& before, const std::string& after,
                  std::vector<Difference>& found) {
  if (before != after) found.push_back({place, before, after});
}

void compare_sections(const PlanFile& before, const PlanFile& after,
                      std::vector<Difference>& found) {
  std::map<std::string, std::pair<std::string, std::string>> sections;
  auto describe = [](const PlanFile::Section& section) {
    return std::to_string(section.bytes) + " bytes, digest " + to_hex(section.digest);
  };
  for (const auto& section : before.sections()) sections[section.name].first = describe(section);
  for (const auto& section : after.sections()) sections[section.name].second = describe(section);
  for (const auto& [name, sides] : sections) {
    compare_text("section " + name, sides.first, sides.second, found);
  }
}

void compare_constants(const PlanFile& before, const PlanFile& after,
                       std::vector<Difference>& found) {
  struct Side {
    const PlanFile* file;
    std::map<std::string, size_t> index;
    explicit Side(const PlanFile& plan) : file(&plan) {
      const auto& constants = plan.plan().constants;
      for (size_t i = 0; i < constants.size(); ++i) index[constants[i].name] = i;
    }
    std::string describe(const std::string& name) const {
      auto entry = index.find(name);
      if (entry == index.end()) return "";
      const plan::Constant& constant = file->plan().constants[entry->second];
      return std::string(dtype_name(constant.dtype)) + constant.extents.to_string() + " = " +
             constant.recipe + ", digest " +
             to_hex(digest_of(file->constant(entry->second).byte_span()));
    }
  };
  Side left(before), right(after);
  std::map<std::string, size_t> names = left.index;
  names.insert(right.index.begin(), right.index.end());
  for (const auto& [name, ignored] : names) {
    compare_text("constant " + name, left.describe(name), right.describe(name), found);
  }
}

// A step without the numbers of its values, which shift with every change before it.
std::string describe_step(const plan::Stage& stage, const plan::Step& step) {
  std::string text = step.op + " v" + std::to_string(step.version) + " @ " + step.module + " ->";
  for (int32_t output : step.outputs) {
    if (output < 0) continue;
    const ValueType& type = stage.values[output].type;
    text += " " + std::string(dtype_name(type.dtype)) + to_string(type.shape);
  }
  return text;
}

std::vector<std::string> describe_steps(const Plan& plan, const std::string& name) {
  std::vector<std::string> lines;
  for (const plan::Stage& stage : plan.stages) {
    if (stage.name != name) continue;
    for (const plan::Step& step : stage.steps) lines.push_back(describe_step(stage, step));
  }
  return lines;
}

void compare_stages(const Plan& before, const Plan& after, std::vector<Difference>& found) {
  std::map<std::string, std::pair<bool, bool>> names;
  for (const plan::Stage& stage : before.stages) names[stage.name].first = true;
  for (const plan::Stage& stage : after.stages) names[stage.name].second = true;
  for (const auto& [name, sides] : names) {
    compare_lines("stage " + name, describe_steps(before, name), describe_steps(after, name),
                  found);
  }
}

void compare_settings(const Plan& before, const Plan& after, std::vector<Difference>& found) {
  compare_text("name", before.name, after.name, found);
  compare_text("architecture", before.architecture, after.architecture, found);
  compare_text("pipeline", before.pipeline, after.pipeline, found);
  compare_json("model", before.model, after.model, found);
  compare_json("generation", before.generation, after.generation, found);
  compare_json("precision", before.precision, after.precision, found);
  compare_json("budgets", before.budgets, after.budgets, found);
  compare_json("provenance", before.provenance, after.provenance, found);
  compare_text("chat_template", before.chat_template, after.chat_template, found);
}

std::string shorten(const std::string& text) {
  return text.empty() ? "(none)" : escape_for_message(text);
}

}  // namespace

void compare_json(const std::string& place, const Json& before, const Json& after,
                  std::vector<Difference>& found) {
  if (before == after) return;
  if (!before.is_object() || !after.is_object()) {
    found.push_back(
        {place, before.is_null() ? "" : before.dump(), after.is_null() ? "" : after.dump()});
    return;
  }
  static const Json kNone;
  for (const auto& [name, value] : before.as_object(place)) {
    const Json* other = after.find(name);
    compare_json(place + "." + name, value, other ? *other : kNone, found);
  }
  for (const auto& [name, value] : after.as_object(place)) {
    if (!before.find(name)) compare_json(place + "." + name, kNone, value, found);
  }
}

void compare_lines(const std::string& place, const std::vector<std::string>& before,
                   const std::vector<std::string>& after, std::vector<Difference>& found) {
  // Only what lies between the common beginning and the common end: enough to see where plans part,
  // in linear time.
  size_t begin = 0, most = std::min(before.size(), after.size());
  while (begin < most && before[begin] == after[begin]) ++begin;
  size_t end = 0;
  while (end < most - begin && before[before.size() - 1 - end] == after[after.size() - 1 - end]) {
    ++end;
  }
  size_t left = before.size() - end, right = after.size() - end;
  for (size_t i = begin; i < std::max(left, right); ++i) {
    std::string a = i < left ? before[i] : "", b = i < right ? after[i] : "";
    if (a != b) found.push_back({place + ", step " + std::to_string(i), a, b});
  }
}

std::vector<Difference> differences(const PlanFile& before, const PlanFile& after) {
  std::vector<Difference> found;
  compare_settings(before.plan(), after.plan(), found);
  compare_sections(before, after, found);
  compare_stages(before.plan(), after.plan(), found);
  compare_constants(before, after, found);
  return found;
}

View diff_view(const PlanFile& before, const PlanFile& after) {
  View view;
  Json list = Json::array();
  std::vector<Difference> found = differences(before, after);
  for (const Difference& difference : found) {
    view.text += escape_for_message(difference.place) + "\n  - " + shorten(difference.before) +
                 "\n  + " + shorten(difference.after) + "\n";
    Json entry = Json::object();
    entry.set("place", difference.place).set("before", difference.before);
    entry.set("after", difference.after);
    list.push_back(std::move(entry));
  }
  bool same = before.identity() == after.identity();
  view.text += same ? "the plans are the same" : "the plans differ";
  view.text += same && !found.empty() ? ", except in their evidence\n" : "\n";
  view.json.set("same_identity", same).set("differences", std::move(list));
  return view;
}

}  // namespace tenon::cli
