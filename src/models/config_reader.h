#pragma once

#include <cmath>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "data/json.h"

namespace tenon::models {

// Reads fields of config.json with their ranges; every problem is collected, so that one pass
// reports all of them before anything is allocated.
class ConfigReader {
 public:
  explicit ConfigReader(const data::Json& config) : config_(config) {}

  // A whole number in [least, most]. `otherwise` < least means the field is required.
  int64_t whole(std::string_view name, int64_t least, int64_t most, int64_t otherwise = INT64_MIN);
  // A finite number in (above, most].
  double number(std::string_view name, double above, double most, double otherwise = NAN);
  bool flag(std::string_view name, bool otherwise);
  std::string text(std::string_view name, std::string_view otherwise);
  const data::Json* find(std::string_view name) const {
    const data::Json* value = config_.find(name);
    return value && !value->is_null() ? value : nullptr;
  }

  // A token id in the vocabulary, or absent; negative means none.
  void optional_token_id(std::string_view name, int64_t vocabulary);
  // Fields that mean another model than the architecture's code builds: quantised weights.
  void refuse_quantised();

  void problem(std::string_view field, std::string_view what, std::string_view got,
               std::string_view accepted);
  // Config keys outside `known`: notes for people, since they may change the model.
  std::vector<std::string> unknown(std::span<const std::string_view> known) const;
  void throw_if_any() const { problems_.throw_if_any(); }
  bool good() const { return problems_.empty(); }
  // Whether this field had a problem: what depends on it is not checked then.
  bool is_bad(std::string_view field) const { return bad_fields_.count(field) > 0; }

 private:
  const data::Json& config_;
  Problems problems_;
  std::set<std::string, std::less<>> bad_fields_;
};

// Token ids of "eos_token_id" and the like: a number, a list, or absent. Each must be in the
// vocabulary.
std::vector<int64_t> token_ids(ConfigReader& reader, const data::Json* value, std::string_view name,
                               int64_t vocabulary);

}  // namespace tenon::models
