#include "runtime/active_tactics.h"

#include <algorithm>

namespace tenon::runtime {
namespace {

bool is_known(const std::string& implementation, const std::vector<Backend>& backends) {
  for (const Backend& backend : backends) {
    for (const ops::Implementation* candidate : backend.implementations) {
      if (candidate->name == implementation) return true;
    }
  }
  return false;
}

}  // namespace

void ActiveTactics::add(const plan::TacticSet& set, const std::string& origin,
                        const std::vector<Backend>& backends) {
  if (set.device != fingerprint_) {
    skip(origin + ": made for " + set.device + ", not for " + fingerprint_);
    return;
  }
  for (const plan::Tactic& tactic : set.tactics) {
    if (is_known(tactic.implementation, backends)) {
      tactics_[tactic.signature] = tactic;
    } else {
      refused(tactic, "there is no such implementation");
    }
  }
}

const plan::Tactic* ActiveTactics::find(const std::string& signature) const {
  auto found = tactics_.find(signature);
  return found == tactics_.end() ? nullptr : &found->second;
}

void ActiveTactics::refused(const plan::Tactic& tactic, const std::string& reason) {
  std::string name = tactic.implementation;
  if (!tactic.variant.empty()) name += " " + tactic.variant;
  std::string line = name + " for " + tactic.signature + ": " + reason;
  if (std::find(skipped_.begin(), skipped_.end(), line) == skipped_.end()) skip(line);
}

}  // namespace tenon::runtime
