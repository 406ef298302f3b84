#pragma once

#include <array>
#include <vector>

#include "text/byte_trie.h"
#include "text/sentencepiece_model.h"

namespace tenon::text {

// What both kinds of SentencePiece model hold. Slot = id.
struct SentencePieces {
  Vocabulary vocabulary;
  std::vector<float> scores;     // [pieces]
  std::vector<PieceType> types;  // [pieces]
  int32_t unk = Vocabulary::kNone;
  bool byte_fallback = false;
  std::array<int32_t, 256> byte_slots;
  ByteTrie user_defined;

  // Whether text is spelled with it; control, unknown and byte pieces are not found in text.
  bool is_spelling(int32_t slot) const {
    return types[slot] == PieceType::Normal || types[slot] == PieceType::UserDefined;
  }
  // Appends what stands for a text without a piece: its bytes, or one unk for a run of such texts.
  // `after_unk` says whether the token before was one, and is kept up.
  void append_unknown(std::string_view text, bool& after_unk, std::vector<int32_t>& ids) const;
};

SentencePieces read_sentence_pieces(const Component& model, ProblemList& problems);
data::Json sentence_pieces_json(const SentencePieces& pieces, std::string_view kind);

// The two kinds, one file each.
std::unique_ptr<const TokenModel> make_sentencepiece_bpe(SentencePieces pieces);
std::unique_ptr<const TokenModel> make_sentencepiece_unigram(SentencePieces pieces);

}  // namespace tenon::text
