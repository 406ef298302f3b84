#include <algorithm>
#include <limits>

#include "text/sentencepiece_pieces.h"
#include "text/unigram_search.h"

namespace tenon::text {
namespace {

// Sums are of floats, as in SentencePiece 0.2.2; older ones add a double to a float, and choose
// otherwise where long runs of one letter have two spellings of nearly one score.
constexpr float kUnkPenalty = 10;

struct ScoreRange {
  float lowest = std::numeric_limits<float>::max();
  float highest = std::numeric_limits<float>::min();  // as in the original: not below zero
};

ScoreRange range_of(const SentencePieces& pieces) {
  ScoreRange range;
  for (int32_t slot = 0; slot < pieces.vocabulary.size(); ++slot) {
    if (pieces.types[slot] != PieceType::Normal) continue;
    range.lowest = std::min(range.lowest, pieces.scores[slot]);
    range.highest = std::max(range.highest, pieces.scores[slot]);
  }
  return range;
}

}  // namespace

class SentencePieceUnigram : public TokenModel {
 public:
  explicit SentencePieceUnigram(SentencePieces pieces) : pieces_(std::move(pieces)) {
    ScoreRange range = range_of(pieces_);
    unk_score_ = range.lowest - kUnkPenalty;
    std::vector<ByteTrie::Entry> entries;
    for (int32_t slot = 0; slot < pieces_.vocabulary.size(); ++slot) {
      std::string_view text = pieces_.vocabulary.text_of(slot);
      // A user-defined piece has a score with which it is always chosen.
      float bonus = static_cast<float>(text.size()) * range.highest - 0.1f;
      bool user = pieces_.types[slot] == PieceType::UserDefined;
      scores_.push_back(user ? bonus : pieces_.scores[slot]);
      if (pieces_.is_spelling(slot)) entries.emplace_back(text, slot);
    }
    trie_ = ByteTrie(std::move(entries));
  }

  const Vocabulary& vocabulary() const override { return pieces_.vocabulary; }
  std::unique_ptr<Run> make_run(size_t text_bytes) const override;
  data::Json to_json() const override { return sentence_pieces_json(pieces_, "unigram"); }

 private:
  friend class SentencePieceUnigramRun;
  SentencePieces pieces_;
  std::vector<float> scores_;  // [pieces]
  ByteTrie trie_;
  float unk_score_ = 0;
};

class SentencePieceUnigramRun : public TokenModel::Run {
 public:
  explicit SentencePieceUnigramRun(const SentencePieceUnigram& model)
      : model_(model), search_(model.trie_, model.scores_, model.pieces_.unk, model.unk_score_) {}

  void encode(std::string_view text, std::vector<int32_t>& ids) override {
    bool after_unk = false;
    for (const auto& part : search_.run(text)) {
      if (part.slot == model_.pieces_.unk) {
        std::string_view unknown = text.substr(part.begin, part.end - part.begin);
        model_.pieces_.append_unknown(unknown, after_unk, ids);
      } else {
        ids.push_back(part.slot);
        after_unk = false;
      }
    }
  }

 private:
  const SentencePieceUnigram& model_;
  UnigramSearch<float> search_;
};

std::unique_ptr<TokenModel::Run> SentencePieceUnigram::make_run(size_t) const {
  return std::make_unique<SentencePieceUnigramRun>(*this);
}

std::unique_ptr<const TokenModel> make_sentencepiece_unigram(SentencePieces pieces) {
  return std::make_unique<SentencePieceUnigram>(std::move(pieces));
}

}  // namespace tenon::text
