#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenon::text {

// The merges of a byte-pair encoding: two neighbouring slots become one. A lower rank goes first.
class MergeTable {
 public:
  struct Rule {
    int32_t left, right, merged;
  };
  struct Merge {
    int32_t rank = -1;  // -1: none
    int32_t merged = -1;
  };

  MergeTable() = default;
  // Rules in order of rank. A pair that comes twice has its last rank.
  explicit MergeTable(std::vector<Rule> rules);
  // With a rank (0 or more) for each rule. Rules may share one: then the place in the text decides.
  MergeTable(std::vector<Rule> rules, const std::vector<int32_t>& ranks);

  Merge find(int32_t left, int32_t right) const;
  const std::vector<Rule>& rules() const { return rules_; }
  int32_t ranks() const { return ranks_; }  // one above the highest

 private:
  // A rank with its pair beside it, so that a lookup touches one place in memory.
  struct Entry {
    int32_t left = 0, right = 0;
    Merge merge;
  };
  size_t bucket_of(int32_t left, int32_t right) const;
  std::vector<Rule> rules_;
  int32_t ranks_ = 0;
  std::vector<Entry> table_;  // open addressing; a power of two
};

}  // namespace tenon::text
