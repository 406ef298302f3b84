#include "text/bpe_model.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>

#include "text/byte_pieces.h"
#include "text/unicode.h"

namespace tenon::text {
namespace {

constexpr CodePoint kBasicChars = 65536;

// Pieces seen in this text and their tokens: a direct-mapped table of small fixed entries, so its
// memory is bounded and a lookup touches one cache line.
class PieceCache {
 public:
  static constexpr size_t kMostKey = 30, kMostIds = 8;
  struct alignas(64) Entry {
    uint8_t key_size = 0, id_count = 0;
    char key[kMostKey];
    int32_t ids[kMostIds];

    bool holds(std::string_view piece) const {
      return key_size == piece.size() && std::memcmp(key, piece.data(), piece.size()) == 0;
    }
  };

  explicit PieceCache(size_t text_bytes)
      : entries_(std::bit_ceil(std::clamp<size_t>(text_bytes / 16, 16, 8192))) {}

  // The entry for this piece, or null where the piece is too long for one.
  Entry* entry(std::string_view piece) {
    if (piece.size() > kMostKey) return nullptr;
    return &entries_[std::hash<std::string_view>{}(piece) & (entries_.size() - 1)];
  }

  static void store(Entry& entry, std::string_view piece, const int32_t* ids, size_t count) {
    if (count > kMostIds) return;
    entry.key_size = static_cast<uint8_t>(piece.size());
    std::memcpy(entry.key, piece.data(), piece.size());
    entry.id_count = static_cast<uint8_t>(count);
    std::copy(ids, ids + count, entry.ids);
  }

 private:
  std::vector<Entry> entries_;
};

}  // namespace

class BpeRun : public TokenModel::Run {
 public:
  BpeRun(const BpeModel& model, size_t text_bytes)
      : model_(model), cache_(text_bytes), merger_(model.config_.merges) {}

  void encode(std::string_view piece, std::vector<int32_t>& ids) override {
    if (piece.empty()) return;
    PieceCache::Entry* entry = cache_.entry(piece);
    if (entry && entry->holds(piece)) {
      ids.insert(ids.end(), entry->ids, entry->ids + entry->id_count);
      return;
    }
    size_t begin = ids.size();
    encode_uncached(piece, ids);
    if (entry) PieceCache::store(*entry, piece, ids.data() + begin, ids.size() - begin);
  }

 private:
  void encode_uncached(std::string_view piece, std::vector<int32_t>& ids) {
    const Vocabulary& vocabulary = model_.config_.vocabulary;
    if (model_.config_.ignore_merges && piece.size() <= kMostTokenBytes) {
      int32_t slot = vocabulary.find(piece);
      if (slot >= 0) return ids.push_back(vocabulary.id_of(slot));
    }
    spell(piece);
    merger_.merge(slots_);
    for (int32_t slot : slots_) ids.push_back(vocabulary.id_of(slot));
  }

  int32_t char_slot(CodePoint c, std::string_view spelled) const {
    return c < kBasicChars ? model_.basic_char_slots_[c] : model_.config_.vocabulary.find(spelled);
  }

  // The symbols before any merge. An unknown character is held until the next known one, also
  // across byte tokens: that is the order Hugging Face gives.
  void spell(std::string_view piece) {
    slots_.clear();
    bool unk_held = false;
    bool has_affixes = !model_.config_.prefix.empty() || !model_.config_.suffix.empty();
    for (size_t at = 0; at < piece.size();) {
      size_t begin = at;
      CodePoint c = next_char(piece, at);
      std::string_view spelled = piece.substr(begin, at - begin);
      if (has_affixes) {
        affixed_ = begin == 0 ? "" : model_.config_.prefix;
        affixed_ += spelled;
        if (at == piece.size()) affixed_ += model_.config_.suffix;
        spelled = affixed_;
      }
      int32_t slot = has_affixes ? model_.config_.vocabulary.find(spelled) : char_slot(c, spelled);
      if (slot >= 0) {
        if (unk_held) slots_.push_back(model_.unk_slot_);
        unk_held = false;
        slots_.push_back(slot);
      } else if (!spell_bytes(spelled) && !model_.config_.unk_token.empty()) {
        if (model_.unk_slot_ < 0) throw missing_unk(spelled);
        if (unk_held && !model_.config_.fuse_unk) slots_.push_back(model_.unk_slot_);
        unk_held = true;
      }
    }
    if (unk_held) slots_.push_back(model_.unk_slot_);
  }

  // Files name an unk_token that is not in the vocabulary; most never need it.
  Error missing_unk(std::string_view spelled) const {
    return Error(ErrorCode::BadInput,
                 "the text has a character without a token, and unk_token is not in "
                 "the vocabulary")
        .at(spelled)
        .got(model_.config_.unk_token);
  }

  bool spell_bytes(std::string_view spelled) {
    return model_.config_.byte_fallback && append_byte_slots(model_.byte_slots_, spelled, slots_);
  }

  const BpeModel& model_;
  PieceCache cache_;
  Merger merger_;
  std::vector<int32_t> slots_;
  std::string affixed_;
};

BpeModel::BpeModel(BpeConfig config) : config_(std::move(config)) {
  const Vocabulary& vocabulary = config_.vocabulary;
  byte_slots_ = find_byte_slots(vocabulary);
  basic_char_slots_.assign(kBasicChars, Vocabulary::kNone);
  for (int32_t slot = 0; slot < vocabulary.size(); ++slot) {
    std::string_view text = vocabulary.text_of(slot);
    size_t at = 0;
    CodePoint c = text.empty() ? kBasicChars : next_char(text, at);
    if (c < kBasicChars && at == text.size()) basic_char_slots_[c] = slot;
  }
  if (!config_.unk_token.empty()) unk_slot_ = vocabulary.find(config_.unk_token);
}

MergeTable merges_by_id(const Vocabulary& vocabulary) {
  std::vector<MergeTable::Rule> rules;
  std::vector<int32_t> ranks;
  for (int32_t slot = 0; slot < vocabulary.size(); ++slot) {
    std::string_view text = vocabulary.text_of(slot);
    for (size_t at = 0; at < text.size();) {
      next_char(text, at);
      int32_t left = at < text.size() ? vocabulary.find(text.substr(0, at)) : -1;
      int32_t right = left >= 0 ? vocabulary.find(text.substr(at)) : -1;
      if (right < 0) continue;
      rules.push_back({left, right, slot});
      ranks.push_back(slot);
    }
  }
  return MergeTable(std::move(rules), ranks);
}

std::unique_ptr<TokenModel::Run> BpeModel::make_run(size_t text_bytes) const {
  return std::make_unique<BpeRun>(*this, text_bytes);
}

}  // namespace tenon::text
