#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::text {

// Strings by their beginnings: walks a text byte by byte and sees which strings end where. The
// children of a node lie side by side, so a step is one search among a few neighbouring bytes.
class ByteTrie {
 public:
  static constexpr int32_t kNone = -1;
  using Entry = std::pair<std::string_view, int32_t>;  // text, value (>= 0)

  ByteTrie() = default;
  // Empty texts are left out; of equal texts the last one's value stays.
  explicit ByteTrie(std::vector<Entry> entries);

  bool empty() const { return labels_.size() <= 1; }
  size_t longest() const { return longest_; }  // bytes of the longest text

  static constexpr int32_t kRoot = 0;
  int32_t step(int32_t node, char byte) const {
    if (node == kRoot) return roots_[static_cast<uint8_t>(byte)];
    uint32_t begin = first_child_[node], end = first_child_[node + 1];
    constexpr uint32_t kFew = 8;  // below, a loop beats the call
    if (end - begin > kFew) {
      const void* found = std::memchr(labels_.data() + begin, byte, end - begin);
      return found ? static_cast<int32_t>(static_cast<const char*>(found) - labels_.data()) : kNone;
    }
    for (; begin < end; ++begin) {
      if (labels_[begin] == byte) return static_cast<int32_t>(begin);
    }
    return kNone;
  }
  int32_t value(int32_t node) const { return values_[node]; }

  struct Hit {
    size_t length = 0;
    int32_t value = kNone;
  };
  // The longest string that `text` begins with.
  Hit longest_prefix(std::string_view text) const;

 private:
  std::vector<char> labels_;           // [nodes]; the byte that leads to a node
  std::vector<int32_t> values_;        // [nodes]; kNone where no string ends
  std::vector<uint32_t> first_child_;  // [nodes + 1]; children of n: [n], ..., [n + 1] - 1
  std::vector<int32_t> roots_;         // [256]; the children of the root, by byte
  size_t longest_ = 0;
};

}  // namespace tenon::text
