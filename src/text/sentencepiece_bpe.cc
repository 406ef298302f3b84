#include <algorithm>
#include <functional>

#include "text/bpe_merge.h"
#include "text/sentencepiece_pieces.h"
#include "text/unicode.h"

namespace tenon::text {
namespace {

// A character without a piece of its own. It can still be a part of a longer piece.
constexpr int32_t kCharSlots = 1 << 25;
static_assert(kCharSlots > kMostTokenId);
constexpr CodePoint kBasicChars = 65536;

bool is_one_char(std::string_view text) {
  size_t at = 0;
  next_char(text, at);
  return at == text.size();
}

int32_t char_slot(std::string_view text) {
  size_t at = 0;
  return kCharSlots + next_char(text, at);
}

// A symbol of the text, or kNone. A piece marked as unused is never spelled, except that a single
// character stays what it is.
int32_t symbol_of(const SentencePieces& pieces, std::string_view text) {
  int32_t slot = pieces.vocabulary.find(text);
  bool one = is_one_char(text);
  if (slot >= 0) {
    PieceType type = pieces.types[slot];
    if (type == PieceType::Normal || (one && type == PieceType::Unused)) return slot;
  }
  return one ? char_slot(text) : Vocabulary::kNone;
}

// The original undoes such a merge in the way in which it was last made anywhere in the text.
Error unused_piece(const SentencePieces& pieces, int32_t slot) {
  return Error(ErrorCode::Unsupported, "a BPE piece marked as unused can be reached by merges")
      .at("id " + std::to_string(slot))
      .got(pieces.vocabulary.text_of(slot))
      .fix("save the tokenizer as tokenizer.json");
}

// [pieces]: 0 for the highest score.
std::vector<int32_t> ranks_of(const std::vector<float>& scores) {
  std::vector<float> distinct = scores;
  std::ranges::sort(distinct, std::greater<>());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  std::vector<int32_t> ranks;
  ranks.reserve(scores.size());
  for (float score : scores) {
    auto found = std::ranges::lower_bound(distinct, score, std::greater<>());
    ranks.push_back(static_cast<int32_t>(found - distinct.begin()));
  }
  return ranks;
}

// Any two neighbours whose texts together are a piece may merge, that of the highest score first.
MergeTable merges_of(const SentencePieces& pieces) {
  std::vector<int32_t> piece_ranks = ranks_of(pieces.scores);
  std::vector<MergeTable::Rule> rules;
  std::vector<int32_t> ranks;
  for (int32_t slot = 0; slot < pieces.vocabulary.size(); ++slot) {
    PieceType type = pieces.types[slot];
    if (type != PieceType::Normal && type != PieceType::Unused) continue;
    std::string_view text = pieces.vocabulary.text_of(slot);
    for (size_t at = 0; at < text.size();) {
      next_char(text, at);
      if (at == text.size()) break;
      int32_t left = symbol_of(pieces, text.substr(0, at));
      int32_t right = left >= 0 ? symbol_of(pieces, text.substr(at)) : Vocabulary::kNone;
      if (right < 0) continue;
      if (type == PieceType::Unused) throw unused_piece(pieces, slot);
      rules.push_back({left, right, slot});
      ranks.push_back(piece_ranks[slot]);
    }
  }
  return MergeTable(std::move(rules), ranks);
}

}  // namespace

class SentencePieceBpe : public TokenModel {
 public:
  explicit SentencePieceBpe(SentencePieces pieces)
      : pieces_(std::move(pieces)), merges_(merges_of(pieces_)), basic_chars_(kBasicChars) {
    for (CodePoint c = 0; c < kBasicChars; ++c) basic_chars_[c] = kCharSlots + c;
    for (int32_t slot = 0; slot < pieces_.vocabulary.size(); ++slot) {
      std::string_view text = pieces_.vocabulary.text_of(slot);
      if (!is_one_char(text)) continue;
      size_t at = 0;
      CodePoint c = next_char(text, at);
      if (c < kBasicChars) basic_chars_[c] = symbol_of(pieces_, text);
    }
  }

  const Vocabulary& vocabulary() const override { return pieces_.vocabulary; }
  std::unique_ptr<Run> make_run(size_t text_bytes) const override;
  data::Json to_json() const override { return sentence_pieces_json(pieces_, "bpe"); }

 private:
  friend class SentencePieceBpeRun;
  SentencePieces pieces_;
  MergeTable merges_;
  std::vector<int32_t> basic_chars_;  // [65536], symbols
};

class SentencePieceBpeRun : public TokenModel::Run {
 public:
  explicit SentencePieceBpeRun(const SentencePieceBpe& model)
      : model_(model), merger_(model.merges_) {}

  void encode(std::string_view text, std::vector<int32_t>& ids) override {
    after_unk_ = false;
    symbols_.clear();
    for (size_t at = 0; at < text.size();) {
      ByteTrie::Hit user = model_.pieces_.user_defined.longest_prefix(text.substr(at));
      if (user.length > 0) {
        flush(ids);
        ids.push_back(user.value);
        after_unk_ = false;
        at += user.length;
        continue;
      }
      size_t begin = at;
      CodePoint c = next_char(text, at);
      symbols_.push_back(c < kBasicChars
                             ? model_.basic_chars_[c]
                             : symbol_of(model_.pieces_, text.substr(begin, at - begin)));
    }
    flush(ids);
  }

 private:
  // Symbols never merge across a user-defined one.
  void flush(std::vector<int32_t>& ids) {
    merger_.merge(symbols_);
    for (int32_t symbol : symbols_) {
      if (symbol < kCharSlots) {
        ids.push_back(symbol);
        after_unk_ = false;
        continue;
      }
      unknown_.clear();
      append_utf8(unknown_, symbol - kCharSlots);
      model_.pieces_.append_unknown(unknown_, after_unk_, ids);
    }
    symbols_.clear();
  }

  const SentencePieceBpe& model_;
  Merger merger_;
  std::vector<int32_t> symbols_;
  std::string unknown_;
  bool after_unk_ = false;
};

std::unique_ptr<TokenModel::Run> SentencePieceBpe::make_run(size_t) const {
  return std::make_unique<SentencePieceBpeRun>(*this);
}

std::unique_ptr<const TokenModel> make_sentencepiece_bpe(SentencePieces pieces) {
  return std::make_unique<SentencePieceBpe>(std::move(pieces));
}

}  // namespace tenon::text
