#include "text/charsmap.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace tenon::text {
namespace {

// The units of darts-clone, which SentencePiece builds its tries with.
constexpr uint32_t kLeafBit = 1u << 31;
bool has_leaf(uint32_t unit) {
  return (unit >> 8 & 1) != 0;
}
uint32_t leaf_value(uint32_t unit) {
  return unit & ~kLeafBit;
}
uint32_t label_of(uint32_t unit) {
  return unit & (kLeafBit | 0xFF);
}
uint32_t offset_of(uint32_t unit) {
  return unit >> 10 << ((unit & 1u << 9) >> 6);
}

// SentencePiece's own rules are of some 20 bytes; a longer walk would be paid at each character.
constexpr int kDeepest = 256;

[[noreturn]] void fail(std::string_view problem) {
  throw Error(ErrorCode::BadInput, problem).at("precompiled_charsmap");
}

}  // namespace

// Walks the trie once. Nodes may be shared (it is a minimised automaton), but a node that leads
// back to itself is refused, and so is a path longer than any rule.
class CharsmapWalk {
 public:
  CharsmapWalk(const std::vector<uint32_t>& units, std::string_view replacements)
      : units_(units), replacements_(replacements), height_(units.size(), kUnseen) {
    group_by_base();
  }

  void run() {
    visit(0);
    while (!open_.empty()) {
      Open& top = open_.back();
      if (top.next == top.end) {
        close();
      } else {
        visit(members_[top.next++]);
      }
    }
  }

 private:
  static constexpr int16_t kUnseen = -1, kOpen = -2;
  struct Open {
    uint32_t node;
    size_t next, end;  // children in members_
  };

  // Unit i is a child of every node with offset base i ^ label, so children are found without
  // trying 256 labels a node.
  void group_by_base() {
    size_t blocks = (units_.size() + 255) / 256 * 256;
    first_.assign(blocks + 1, 0);
    auto base_of = [&](uint32_t i) { return i ^ label_of(units_[i]); };
    auto is_child = [&](uint32_t i) { return i != 0 && label_of(units_[i]) <= 0xFF; };
    for (uint32_t i = 0; i < units_.size(); ++i) first_[base_of(i) % blocks + 1] += is_child(i);
    for (size_t base = 0; base < blocks; ++base) first_[base + 1] += first_[base];
    members_.resize(first_[blocks]);
    std::vector<size_t> fill(first_.begin(), first_.end() - 1);
    for (uint32_t i = 0; i < units_.size(); ++i) {
      if (is_child(i)) members_[fill[base_of(i)]++] = i;
    }
  }

  void visit(uint32_t node) {
    if (height_[node] == kOpen) fail("trie leads back into itself");
    if (height_[node] >= 0) return raise_parent(height_[node]);
    if (static_cast<int>(open_.size()) >= kDeepest) fail("trie is too deep");
    uint64_t base = uint64_t{node} ^ offset_of(units_[node]);
    if (base >= units_.size()) {
      // Units outside any rule may point anywhere; a node on a path must not.
      fail("trie unit points outside of the trie");
    }
    if (has_leaf(units_[node])) check_leaf(units_[base]);
    height_[node] = kOpen;
    bool grouped = base + 1 < first_.size();
    open_.push_back({node, grouped ? first_[base] : 0, grouped ? first_[base + 1] : 0});
    heights_.push_back(0);
  }

  void close() {
    int16_t height = heights_.back();
    height_[open_.back().node] = height;
    open_.pop_back();
    heights_.pop_back();
    raise_parent(height);
  }

  void raise_parent(int16_t height) {
    if (heights_.empty()) return;
    heights_.back() = std::max<int16_t>(heights_.back(), static_cast<int16_t>(height + 1));
    if (static_cast<int>(open_.size()) + heights_.back() > kDeepest) fail("trie is too deep");
  }

  void check_leaf(uint32_t unit) const {
    uint32_t value = leaf_value(unit);
    if (value >= replacements_.size()) fail("trie value points outside of the replacements");
    bool inside = (static_cast<uint8_t>(replacements_[value]) & 0xC0) == 0x80;
    if (inside) fail("trie value points into the middle of a character");
  }

  const std::vector<uint32_t>& units_;
  std::string_view replacements_;
  std::vector<size_t> first_;      // [bases + 1], into members_
  std::vector<uint32_t> members_;  // units by base
  std::vector<int16_t> height_;    // of the tree below a unit, or kUnseen or kOpen
  std::vector<Open> open_;
  std::vector<int16_t> heights_;  // so far, of the open nodes
};

Charsmap::Charsmap(std::string_view blob) {
  uint32_t trie_bytes = 0;
  if (blob.size() <= sizeof trie_bytes) fail("charsmap is cut off");
  std::memcpy(&trie_bytes, blob.data(), sizeof trie_bytes);
  blob.remove_prefix(sizeof trie_bytes);
  if (trie_bytes >= blob.size()) fail("charsmap is shorter than its trie");
  if (trie_bytes == 0 || trie_bytes % sizeof(uint32_t) != 0) fail("trie is not whole units");
  units_.resize(trie_bytes / sizeof(uint32_t));
  std::memcpy(units_.data(), blob.data(), trie_bytes);
  replacements_ = blob.substr(trie_bytes);
  verify();
}

void Charsmap::verify() const {
  if (replacements_.back() != '\0') fail("replacements do not end in NUL");
  if (!is_valid_utf8(replacements_)) fail("replacements are not valid UTF-8");
  CharsmapWalk(units_, replacements_).run();
}

std::string_view Charsmap::replacement_at(uint32_t offset) const {
  return replacements_.data() + offset;  // up to the next NUL; there is one
}

namespace {

bool is_char_end(std::string_view text, size_t at) {
  return at == text.size() || (static_cast<uint8_t>(text[at]) & 0xC0) != 0x80;
}

}  // namespace

Charsmap::Match Charsmap::longest(std::string_view text) const {
  Match match;
  uint32_t node = offset_of(units_[0]);
  for (size_t at = 0; at < text.size();) {
    auto byte = static_cast<uint8_t>(text[at++]);
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) break;
    uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (has_leaf(unit) && is_char_end(text, at)) {
      match = {at, replacement_at(leaf_value(units_[node]))};
    }
  }
  return match;
}

Charsmap::Match Charsmap::shortest(std::string_view text) const {
  uint32_t node = offset_of(units_[0]);
  for (size_t at = 0; at < text.size() && text[at] != '\0';) {
    auto byte = static_cast<uint8_t>(text[at++]);
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) break;
    uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (has_leaf(unit)) return {at, replacement_at(leaf_value(units_[node]))};
  }
  return {};
}

}  // namespace tenon::text
