#include "text/merge_table.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/error.h"

namespace tenon::text {
namespace {

std::vector<int32_t> counted(size_t size) {
  std::vector<int32_t> numbers(size);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

}  // namespace

MergeTable::MergeTable(std::vector<Rule> rules) {
  std::vector<int32_t> ranks = counted(rules.size());
  *this = MergeTable(std::move(rules), ranks);
}

MergeTable::MergeTable(std::vector<Rule> rules, const std::vector<int32_t>& ranks)
    : rules_(std::move(rules)) {
  TENON_CHECK(rules_.size() == ranks.size());
  table_.resize(std::bit_ceil(rules_.size() * 2 + 2));
  for (size_t i = 0; i < rules_.size(); ++i) {
    const Rule& rule = rules_[i];
    table_[bucket_of(rule.left, rule.right)] = {rule.left, rule.right, {ranks[i], rule.merged}};
    ranks_ = std::max(ranks_, ranks[i] + 1);
  }
}

size_t MergeTable::bucket_of(int32_t left, int32_t right) const {
  uint64_t key =
      static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  size_t mask = table_.size() - 1;
  key *= 0x9E3779B97F4A7C15ull;
  size_t bucket = (key ^ key >> 32) & mask;
  for (;; bucket = (bucket + 1) & mask) {
    const Entry& entry = table_[bucket];
    if (entry.merge.rank < 0 || (entry.left == left && entry.right == right)) return bucket;
  }
}

MergeTable::Merge MergeTable::find(int32_t left, int32_t right) const {
  return table_.empty() ? Merge() : table_[bucket_of(left, right)].merge;
}

}  // namespace tenon::text
