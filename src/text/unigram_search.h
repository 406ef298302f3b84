#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/byte_trie.h"

namespace tenon::text {

// The pieces of a unigram language model and the best way to spell a text with them. `Score` is the
// type in which the original adds up: results are to be equal in their last bit, as ties decide.
template <class Score>
class UnigramSearch {
 public:
  struct Part {
    uint32_t begin, end;  // in the text
    int32_t slot;
  };

  // `scores` by slot. `unk_slot` stands for one character that is no piece.
  UnigramSearch(const ByteTrie& trie, const std::vector<Score>& scores, int32_t unk_slot,
                Score unk_score)
      : trie_(trie), scores_(scores), unk_slot_(unk_slot), unk_score_(unk_score) {}

  // The parts of valid UTF-8, in order. Work: bytes of the text * bytes of the longest piece.
  const std::vector<Part>& run(std::string_view text) {
    ends_.assign(text.size() + 1, {});
    for (size_t begin = 0; begin < text.size();) {
      size_t width = char_width(text[begin]);
      bool single = walk(text, begin, begin + width);
      if (!single) offer(begin, begin + width, unk_score_ + ends_[begin].score, unk_slot_);
      begin += width;
    }
    backtrack(text.size());
    return parts_;
  }

 private:
  struct End {
    Score score = 0;
    int32_t slot = -1;
    uint32_t begin = kNowhere;  // of the best piece that ends here
  };
  static constexpr uint32_t kNowhere = UINT32_MAX;

  static size_t char_width(char lead) {
    auto byte = static_cast<uint8_t>(lead);
    return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
  }

  // Offers every piece that begins at `begin`; whether one of them is the single character.
  bool walk(std::string_view text, size_t begin, size_t char_end) {
    if (trie_.empty()) return false;
    bool single = false;
    Score score = ends_[begin].score;
    int32_t node = ByteTrie::kRoot;
    for (size_t at = begin; at < text.size();) {
      node = trie_.step(node, text[at++]);
      if (node < 0) break;
      int32_t slot = trie_.value(node);
      if (slot < 0) continue;
      offer(begin, at, scores_[slot] + score, slot);
      single = single || at == char_end;
    }
    return single;
  }

  void offer(size_t begin, size_t end, Score score, int32_t slot) {
    End& best = ends_[end];
    if (best.begin != kNowhere && !(score > best.score)) return;
    best = {score, slot, static_cast<uint32_t>(begin)};
  }

  void backtrack(size_t size) {
    parts_.clear();
    for (size_t end = size; end > 0; end = ends_[end].begin) {
      parts_.push_back({ends_[end].begin, static_cast<uint32_t>(end), ends_[end].slot});
    }
    std::reverse(parts_.begin(), parts_.end());
  }

  const ByteTrie& trie_;
  const std::vector<Score>& scores_;
  int32_t unk_slot_;
  Score unk_score_;
  std::vector<End> ends_;  // [bytes + 1]
  std::vector<Part> parts_;
};

}  // namespace tenon::text
