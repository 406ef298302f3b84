#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/recipe.h"
#include "tensor/weight_source.h"

namespace tenon::nn {

enum class WeightState { Used, Unused, Ignored, Missing, WrongShape, WrongType, Tied };
std::string_view weight_state_name(WeightState state);

// What became of every tensor of a checkpoint, and of every tensor the model wanted.
struct LedgerEntry {
  std::string name;
  WeightState state = WeightState::Unused;
  std::string detail;  // expected and found shapes, nearest names, why it is ignored
};

struct Ledger {
  std::vector<LedgerEntry> entries;
  size_t count(WeightState state) const;
};

// Hands out weights by name and keeps the ledger. Problems are collected: finish() reports them
// all.
class Weights {
 public:
  explicit Weights(const WeightSource& source) : source_(source) {}

  // Strips `prefix` from wanted names where the checkpoint's own names lack it ("transformer.").
  void set_optional_prefix(std::string prefix);
  // Wanted names go through `name` before they are looked up: another layout of the same weights.
  void set_names(std::function<std::string(const std::string&)> name) { name_ = std::move(name); }
  // The checkpoint's name of a wanted one.
  std::string resolve(const std::string& name) const;
  // A recipe for the tensor, which must be a float tensor of these extents. A missing or wrong one
  // is noted, and a stand-in of the right shape returned so that all problems surface in one pass.
  Recipe need(const std::string& name, const Extents& extents);
  bool has(const std::string& name) const;
  // Notes that `name` shares the weight of `owner`.
  void tie(const std::string& name, const std::string& owner);
  // Names with this suffix that nobody asks for are known buffers, not weights.
  void ignore_suffix(std::string suffix, std::string why);

  // The ledger; throws one ErrorCode::BadInput listing every missing, misshapen or mistyped tensor.
  Ledger finish() const;
  Ledger ledger() const;

 private:
  static constexpr int kNearestShown = 64;
  std::vector<std::string> source_names() const;

  int missing_ = 0;
  const WeightSource& source_;
  std::function<std::string(const std::string&)> name_;
  std::string prefix_;
  std::vector<LedgerEntry> wanted_;
  std::map<std::string, size_t> wanted_index_;
  std::vector<std::pair<std::string, std::string>> ignored_suffixes_;
};

}  // namespace tenon::nn
