#include "nn/weights.h"

#include <algorithm>

#include "base/text.h"

namespace tenon::nn {

std::string_view weight_state_name(WeightState state) {
  switch (state) {
    case WeightState::Used:
      return "used";
    case WeightState::Unused:
      return "unused";
    case WeightState::Ignored:
      return "ignored";
    case WeightState::Missing:
      return "missing";
    case WeightState::WrongShape:
      return "wrong shape";
    case WeightState::WrongType:
      return "wrong type";
    case WeightState::Tied:
      return "tied";
  }
  return "unknown";
}

size_t Ledger::count(WeightState state) const {
  return std::count_if(entries.begin(), entries.end(),
                       [&](const LedgerEntry& e) { return e.state == state; });
}

namespace {

// What all missing names lie under: a wrapper's attribute, saved with it. Empty where there is
// none.
std::string wrapping_prefix(const Ledger& ledger, const WeightSource& source) {
  std::string prefix;
  for (const LedgerEntry& entry : ledger.entries) {
    if (entry.state != WeightState::Missing) continue;
    if (prefix.empty()) {
      for (const WeightInfo& info : source.weights()) {
        if (!info.name.ends_with("." + entry.name)) continue;
        prefix = info.name.substr(0, info.name.size() - entry.name.size());
      }
    }
    if (prefix.empty() || !source.find(prefix + entry.name)) return "";
  }
  return prefix;
}

std::string advice(const Ledger& ledger, const WeightSource& source) {
  std::string prefix = wrapping_prefix(ledger, source);
  if (!prefix.empty()) {
    return "all of them are there under \"" + prefix +
           "\", as Lightning, DDP and torch.compile save what they wrap: take it off the names";
  }
  if (ledger.count(WeightState::WrongType) == 0) return "";
  return "save the model in f32, f16 or bf16, as after model.float() or model.bfloat16()";
}

}  // namespace

void Weights::set_optional_prefix(std::string prefix) {
  for (const WeightInfo& info : source_.weights()) {
    if (info.name.compare(0, prefix.size(), prefix) == 0) return;
  }
  prefix_ = std::move(prefix);
}

std::string Weights::resolve(const std::string& name) const {
  if (name_) return name_(name);
  if (!prefix_.empty() && name.compare(0, prefix_.size(), prefix_) == 0)
    return name.substr(prefix_.size());
  return name;
}

std::vector<std::string> Weights::source_names() const {
  std::vector<std::string> names;
  for (const WeightInfo& candidate : source_.weights()) names.push_back(candidate.name);
  return names;
}

bool Weights::has(const std::string& name) const {
  return source_.find(resolve(name)) != nullptr;
}

Recipe Weights::need(const std::string& name, const Extents& extents) {
  std::string key = resolve(name);
  const WeightInfo* info = source_.find(key);
  LedgerEntry entry{key, WeightState::Used, ""};
  if (!info) {
    entry.state = WeightState::Missing;
    entry.detail = "wanted " + extents.to_string();
    std::vector<std::string> nearest;
    // A config that asks for thousands of layers too many is told as quickly as one typo.
    if (++missing_ <= kNearestShown) nearest = nearest_names(key, source_names());
    if (!nearest.empty()) entry.detail += ", nearest: " + join(nearest, ", ");
  } else if (!(info->extents == extents)) {
    entry.state = WeightState::WrongShape;
    entry.detail = "wanted " + extents.to_string() + ", found " + info->extents.to_string();
    Extents transposed = info->extents;
    if (transposed.rank() == 2) {
      std::swap(transposed[0], transposed[1]);
      if (transposed == extents) entry.detail += " (transposed?)";
    }
  } else if (info->dtype != DType::F32 && info->dtype != DType::F16 && info->dtype != DType::BF16) {
    entry.state = WeightState::WrongType;
    entry.detail = "wanted f32, f16 or bf16, found " + std::string(dtype_name(info->dtype));
  }
  bool good = entry.state == WeightState::Used;
  if (wanted_index_.emplace(key, wanted_.size()).second) wanted_.push_back(std::move(entry));
  if (!good) return Recipe::source({key, DType::F32, extents});
  const Recipe* derived = source_.recipe_of(key);
  return derived ? *derived : Recipe::source(*info);
}

void Weights::tie(const std::string& name, const std::string& owner) {
  std::string key = resolve(name);
  if (wanted_index_.emplace(key, wanted_.size()).second) {
    wanted_.push_back({key, WeightState::Tied, "shares " + resolve(owner)});
  }
}

void Weights::ignore_suffix(std::string suffix, std::string why) {
  ignored_suffixes_.emplace_back(std::move(suffix), std::move(why));
}

Ledger Weights::ledger() const {
  Ledger ledger;
  ledger.entries = wanted_;
  for (const WeightInfo& info : source_.weights()) {
    if (wanted_index_.count(info.name)) continue;
    LedgerEntry entry{info.name, WeightState::Unused, info.extents.to_string()};
    for (const auto& [suffix, why] : ignored_suffixes_) {
      bool ends = info.name.size() >= suffix.size() &&
                  info.name.compare(info.name.size() - suffix.size(), suffix.size(), suffix) == 0;
      if (ends) {
        entry.state = WeightState::Ignored;
        entry.detail = why;
      }
    }
    ledger.entries.push_back(std::move(entry));
  }
  return ledger;
}

Ledger Weights::finish() const {
  Ledger result = ledger();
  Problems problems;
  for (const LedgerEntry& entry : result.entries) {
    if (entry.state == WeightState::Missing || entry.state == WeightState::WrongShape ||
        entry.state == WeightState::WrongType) {
      problems.add(
          Error(ErrorCode::BadInput, "weight is " + std::string(weight_state_name(entry.state)))
              .at(entry.name)
              .got(entry.detail));
    }
  }
  try {
    problems.throw_if_any();
  } catch (Error& error) {
    if (std::string hint = advice(result, source_); !hint.empty()) error.fix(hint);
    throw;
  }
  return result;
}

}  // namespace tenon::nn
