#include "text/sentencepiece_pieces.h"

#include <algorithm>
#include <cmath>

#include "text/byte_pieces.h"

namespace tenon::text {

using data::Json;

namespace {

PieceType read_type(const Component& type) {
  int64_t number = type.json.as_int(type.place);
  if (number >= 1 && number <= 6) return static_cast<PieceType>(number);
  throw Error(ErrorCode::Unsupported, "unknown type of piece")
      .at(type.place)
      .got(std::to_string(number))
      .accepted("1 to 6");
}

float read_score(const Component& score) {
  double value = score.json.as_double(score.place);
  if (std::isfinite(value) && std::abs(value) < 1e30) return static_cast<float>(value);
  throw Error(ErrorCode::BadInput, "score is out of range").at(score.place);
}

void read_piece(const Component& piece, SentencePieces& pieces,
                std::vector<VocabularyEntry>& entries) {
  if (piece.size() != 3) {
    throw Error(ErrorCode::BadInput, "a piece has a text, a score and a type").at(piece.place);
  }
  Component text = piece.item(0);
  const std::string& spelled = text.json.as_string(text.place);
  if (spelled.empty()) throw Error(ErrorCode::BadInput, "piece is empty").at(piece.place);
  check_walked_piece(spelled, piece.place);
  PieceType type = read_type(piece.item(2));
  pieces.scores.push_back(read_score(piece.item(1)));
  pieces.types.push_back(type);
  entries.push_back({spelled, static_cast<int64_t>(entries.size())});
  if (type != PieceType::Unknown) return;
  if (pieces.unk >= 0) {
    throw Error(ErrorCode::BadInput, "model has two unknown pieces").at(piece.place).got(spelled);
  }
  pieces.unk = static_cast<int32_t>(entries.size()) - 1;
}

void check_bytes(const SentencePieces& pieces, const Component& model) {
  int64_t count = 0;
  for (int32_t slot : pieces.byte_slots) {
    count += slot >= 0 && pieces.types[slot] == PieceType::Byte;
  }
  int64_t typed = std::ranges::count(pieces.types, PieceType::Byte);
  if (count == typed && count == (pieces.byte_fallback ? 256 : 0)) return;
  throw Error(ErrorCode::BadInput, "byte pieces do not fit byte_fallback")
      .at(model.place + ".pieces")
      .got(std::to_string(typed) + " byte pieces, " + std::to_string(count) + " with good names")
      .accepted(pieces.byte_fallback ? "256" : "none");
}

}  // namespace

void SentencePieces::append_unknown(std::string_view text, bool& after_unk,
                                    std::vector<int32_t>& ids) const {
  if (byte_fallback) {
    append_byte_slots(byte_slots, text, ids);
  } else if (!after_unk) {
    ids.push_back(unk);
  }
  after_unk = true;
}

SentencePieces read_sentence_pieces(const Component& model, ProblemList& problems) {
  ProblemList own;
  SentencePieces pieces;
  std::vector<VocabularyEntry> entries;
  Component list = model.member("pieces");
  for (size_t i = 0; i < list.size(); ++i) {
    own.collect([&] { read_piece(list.item(i), pieces, entries); });
  }
  if (own.empty()) {
    pieces.vocabulary = Vocabulary(std::move(entries), list.place, own);
  }
  if (own.empty()) {
    own.collect([&] {
      if (pieces.unk < 0) throw Error(ErrorCode::BadInput, "no unknown piece").at(list.place);
      pieces.byte_fallback = model.flag("byte_fallback", false);
      pieces.byte_slots = find_byte_slots(pieces.vocabulary);
      check_bytes(pieces, model);
    });
  }
  own.move_to(problems);
  std::vector<ByteTrie::Entry> user;
  for (int32_t slot = 0; slot < pieces.vocabulary.size(); ++slot) {
    if (pieces.types[slot] != PieceType::UserDefined) continue;
    user.emplace_back(pieces.vocabulary.text_of(slot), slot);
  }
  pieces.user_defined = ByteTrie(std::move(user));
  return pieces;
}

Json sentence_pieces_json(const SentencePieces& pieces, std::string_view kind) {
  Json::Array list;
  list.reserve(pieces.types.size());
  for (int32_t slot = 0; slot < pieces.vocabulary.size(); ++slot) {
    list.push_back(Json::Array{pieces.vocabulary.text_of(slot),
                               static_cast<double>(pieces.scores[slot]),
                               static_cast<int>(pieces.types[slot])});
  }
  return Json::Object{{"type", "SentencePiece"},
                      {"kind", kind},
                      {"byte_fallback", pieces.byte_fallback},
                      {"pieces", std::move(list)}};
}

std::unique_ptr<const TokenModel> make_sentencepiece_model(const Component& model,
                                                           ProblemList& problems) {
  std::string kind = model.text("kind");
  if (kind != "bpe" && kind != "unigram") {
    throw Error(ErrorCode::Unsupported, "this kind of SentencePiece model is not supported")
        .at(model.place + ".kind")
        .got(kind)
        .accepted("bpe or unigram");
  }
  ProblemList own;
  SentencePieces pieces = read_sentence_pieces(model, own);
  bool good = own.empty();
  own.move_to(problems);
  if (!good) return nullptr;
  return kind == "bpe" ? make_sentencepiece_bpe(std::move(pieces))
                       : make_sentencepiece_unigram(std::move(pieces));
}

}  // namespace tenon::text
