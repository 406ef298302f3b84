#include "text/byte_trie.h"

#include <algorithm>

#include "base/error.h"

namespace tenon::text {
namespace {

// Entries [begin, end) share their first `depth` bytes.
struct Range {
  size_t begin, end;
};

}  // namespace

ByteTrie::ByteTrie(std::vector<Entry> entries) {
  std::erase_if(entries, [](const Entry& entry) { return entry.first.empty(); });
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.first < b.first; });
  for (const Entry& entry : entries) longest_ = std::max(longest_, entry.first.size());
  labels_ = {0};
  values_ = {kNone};
  std::vector<Range> level = {{0, entries.size()}};
  // Breadth first, so that children come one after the other.
  for (size_t depth = 0; !level.empty(); ++depth) {
    std::vector<Range> below;
    for (const Range& range : level) {
      first_child_.push_back(static_cast<uint32_t>(labels_.size()));
      for (size_t at = range.begin; at < range.end;) {
        if (entries[at].first.size() == depth) {  // ends at the parent, and has its value there
          ++at;
          continue;
        }
        char byte = entries[at].first[depth];
        size_t end = at;
        int32_t value = kNone;
        for (; end < range.end && entries[end].first[depth] == byte; ++end) {
          if (entries[end].first.size() == depth + 1) value = entries[end].second;
        }
        labels_.push_back(byte);
        values_.push_back(value);
        below.push_back({at, end});
        at = end;
      }
    }
    level = std::move(below);
  }
  first_child_.push_back(static_cast<uint32_t>(labels_.size()));
  roots_.assign(256, kNone);
  for (uint32_t child = first_child_[kRoot]; child < first_child_[kRoot + 1]; ++child) {
    roots_[static_cast<uint8_t>(labels_[child])] = static_cast<int32_t>(child);
  }
}

ByteTrie::Hit ByteTrie::longest_prefix(std::string_view text) const {
  Hit hit;
  if (empty()) return hit;
  int32_t node = kRoot;
  for (size_t at = 0; at < text.size();) {
    node = step(node, text[at++]);
    if (node < 0) break;
    if (values_[node] >= 0) hit = {at, values_[node]};
  }
  return hit;
}

}  // namespace tenon::text
