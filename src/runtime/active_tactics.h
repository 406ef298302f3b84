#pragma once

#include <map>
#include <string>
#include <vector>

#include "plan/tactics.h"
#include "runtime/binding.h"

namespace tenon::runtime {

// The measured choices in use on one device. What does not fit is skipped and listed, never an
// error: a tactic is an opinion about speed.
class ActiveTactics {
 public:
  explicit ActiveTactics(std::string fingerprint) : fingerprint_(std::move(fingerprint)) {}

  // Takes a set over where it is for this device; later sets win over earlier ones. `origin` is
  // what people call it: "the plan", "model.plan.tactics".
  void add(const plan::TacticSet& set, const std::string& origin,
           const std::vector<Backend>& backends);
  // One line of its own, for a set that could not be read.
  void skip(const std::string& line) { skipped_.push_back(line); }

  // The tactic for a step, or nullptr.
  const plan::Tactic* find(const std::string& signature) const;
  void refused(const plan::Tactic& tactic, const std::string& reason);

  size_t size() const { return tactics_.size(); }
  // "<what>: <why>", each once.
  const std::vector<std::string>& skipped() const { return skipped_; }

 private:
  std::string fingerprint_;
  std::map<std::string, plan::Tactic> tactics_;  // by signature
  std::vector<std::string> skipped_;
};

}  // namespace tenon::runtime
