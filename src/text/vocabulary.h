#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/component_json.h"

namespace tenon::text {

inline constexpr size_t kMostTokenBytes = 64 << 10;

struct VocabularyEntry {
  std::string text;
  int64_t id;
};

// Pieces and their ids. Inside, a piece is a slot (0 .. size - 1, in order of ids), so memory
// follows the number of pieces even where ids have gaps.
class Vocabulary {
 public:
  static constexpr int32_t kNone = -1;

  Vocabulary() = default;
  // Adds each bad entry (id out of range or taken twice, text taken twice or too long) to problems.
  Vocabulary(std::vector<VocabularyEntry> entries, const std::string& place, ProblemList& problems);

  int32_t size() const { return static_cast<int32_t>(ids_.size()); }
  int32_t find(std::string_view text) const;  // slot or kNone
  int32_t slot_of_id(int32_t id) const;       // slot or kNone
  int32_t id_of(int32_t slot) const { return ids_[slot]; }
  std::string_view text_of(int32_t slot) const {
    return std::string_view(texts_).substr(ends_[slot], ends_[slot + 1] - ends_[slot]);
  }
  int32_t largest_id() const { return ids_.empty() ? -1 : ids_.back(); }

 private:
  size_t bucket_of(std::string_view text) const;

  std::string texts_;           // all pieces, one after the other
  std::vector<uint32_t> ends_;  // [size + 1]; piece i is texts_[ends_[i], ends_[i + 1])
  std::vector<int32_t> ids_;    // ascending
  std::vector<int32_t> table_;  // open addressing: slot or kNone; a power of two
};

// {"<unk>": 0, "a": 1, ...}, the form in which most models of a tokenizer.json hold it.
Vocabulary read_vocabulary(const Component& vocab, ProblemList& problems);
data::Json vocabulary_json(const Vocabulary& vocabulary);

}  // namespace tenon::text
