#include "text/sentencepiece_file.h"

#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "data/protobuf.h"
#include "text/base64.h"
#include "text/component_json.h"
#include "text/sentencepiece_model.h"

namespace tenon::text {

using data::Json;
using data::ProtoReader;

namespace {

// Field numbers and defaults are those of sentencepiece_model.proto.
struct Piece {
  std::string_view text;
  float score = 0;
  int32_t type = static_cast<int32_t>(PieceType::Normal);
};

struct Trainer {
  int32_t model_type = 1;
  bool whitespace_as_suffix = false, byte_fallback = false;
  std::string_view unk_surface = " \u2047 ";
  std::string_view bos = "<s>", eos = "</s>", pad = "<pad>";
};

struct NormalizerSpec {
  std::string_view charsmap;
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
};

Piece read_piece(ProtoReader reader) {
  Piece piece;
  while (reader.next()) {
    if (reader.field() == 1) piece.text = reader.bytes();
    if (reader.field() == 2) piece.score = reader.float32();
    if (reader.field() == 3) piece.type = reader.int32();
  }
  return piece;
}

void read_trainer(ProtoReader reader, Trainer& trainer) {
  while (reader.next()) {
    switch (reader.field()) {
      case 3:
        trainer.model_type = reader.int32();
        break;
      case 24:
        trainer.whitespace_as_suffix = reader.boolean();
        break;
      case 35:
        trainer.byte_fallback = reader.boolean();
        break;
      case 44:
        trainer.unk_surface = reader.bytes();
        break;
      case 46:
        trainer.bos = reader.bytes();
        break;
      case 47:
        trainer.eos = reader.bytes();
        break;
      case 48:
        trainer.pad = reader.bytes();
        break;
      default:
        break;
    }
  }
}

void read_normalizer(ProtoReader reader, NormalizerSpec& spec) {
  while (reader.next()) {
    if (reader.field() == 2) spec.charsmap = reader.bytes();
    if (reader.field() == 3) spec.add_dummy_prefix = reader.boolean();
    if (reader.field() == 4) spec.remove_extra_whitespaces = reader.boolean();
    if (reader.field() == 5) spec.escape_whitespaces = reader.boolean();
  }
}

class Reader {
 public:
  SentencePieceFile read(std::string_view bytes, const SentencePieceOptions& options) {
    ProtoReader model(bytes, "model");
    while (model.next()) read_field(model);
    check_whole();
    find_roles();
    problems_.throw_if_any();
    file_.pieces = static_cast<int64_t>(pieces_.size());
    file_.normalizer = normalizer_json(options);
    file_.model = model_json();
    file_.decoder = decoder_json();
    return std::move(file_);
  }

 private:
  void read_field(const ProtoReader& model) {
    switch (model.field()) {
      case 1:
        return add_piece(model.bytes());
      case 2:
        return read_trainer({model.bytes(), "trainer_spec"}, trainer_);
      case 3:
        return read_normalizer({model.bytes(), "normalizer_spec"}, normalizer_);
      case 5:
        return read_normalizer({model.bytes(), "denormalizer_spec"}, denormalizer_);
      default:
        return;
    }
  }

  void add_piece(std::string_view bytes) {
    std::string place = "pieces[" + std::to_string(pieces_.size()) + "]";
    if (static_cast<int64_t>(pieces_.size()) >= kLimits.vocabulary) {
      throw Error(ErrorCode::BadInput, "vocabulary is too large")
          .at(place)
          .accepted("at most " + std::to_string(kLimits.vocabulary));
    }
    Piece piece = read_piece({bytes, place});
    if (!is_valid_utf8(piece.text)) {
      problems_.add(
          Error(ErrorCode::BadInput, "piece is not valid UTF-8").at(place).got(piece.text));
      piece.text = "";
    }
    auto id = static_cast<int64_t>(pieces_.size());
    pieces_.push_back(Json::Array{piece.text, static_cast<double>(piece.score), piece.type});
    if (piece.type == static_cast<int>(PieceType::Unknown)) file_.names.unk = piece.text;
    if (piece.type == static_cast<int>(PieceType::UserDefined)) user_defined_.push_back(piece.text);
    if (piece.type != static_cast<int>(PieceType::Control)) return;
    file_.control.emplace_back(piece.text);
    file_.control_ids.push_back(id);
  }

  // After all of the file: the trainer's part, which names them, follows the pieces.
  void find_roles() {
    auto is_named = [](std::string_view text, std::string_view name, std::string_view otherwise) {
      return text == (name.empty() ? otherwise : name);
    };
    for (const std::string& text : file_.control) {
      if (is_named(text, trainer_.bos, "<s>")) file_.names.bos = text;
      if (is_named(text, trainer_.eos, "</s>")) file_.names.eos = text;
      if (is_named(text, trainer_.pad, "<pad>")) file_.names.pad = text;
    }
  }

  void check_whole() {
    if (pieces_.empty()) problems_.add(Error(ErrorCode::BadInput, "model has no pieces"));
    if (trainer_.model_type != 1 && trainer_.model_type != 2) {
      problems_.add(
          Error(ErrorCode::Unsupported, "this kind of SentencePiece model is not supported")
              .at("trainer_spec.model_type")
              .got(std::to_string(trainer_.model_type))
              .accepted("1 (unigram) or 2 (bpe)"));
    }
    if (!denormalizer_.charsmap.empty()) {
      problems_.add(Error(ErrorCode::Unsupported, "a denormaliser is not supported")
                        .at("denormalizer_spec.precompiled_charsmap"));
    }
    if (!is_valid_utf8(trainer_.unk_surface)) {
      problems_.add(Error(ErrorCode::BadInput, "not valid UTF-8").at("trainer_spec.unk_surface"));
    }
  }

  Json normalizer_json(const SentencePieceOptions& options) const {
    return Json::Object{{"type", "SentencePiece"},
                        {"charsmap", encode_base64(normalizer_.charsmap)},
                        {"add_dummy_prefix", normalizer_.add_dummy_prefix},
                        {"prefix_once", options.prefix_once},
                        {"remove_extra_whitespaces", normalizer_.remove_extra_whitespaces},
                        {"escape_whitespaces", normalizer_.escape_whitespaces},
                        {"whitespace_as_suffix", trainer_.whitespace_as_suffix},
                        {"user_defined", user_defined_}};
  }

  Json model_json() {
    Json model = Json::Object{{"type", "SentencePiece"},
                              {"kind", trainer_.model_type == 2 ? "bpe" : "unigram"},
                              {"byte_fallback", trainer_.byte_fallback}};
    model.set("pieces", std::move(pieces_));
    return model;
  }

  Json decoder_json() const {
    return Json::Object{{"type", "SentencePiece"},
                        {"unk", file_.names.unk},
                        {"unk_surface", trainer_.unk_surface},
                        {"byte_fallback", trainer_.byte_fallback},
                        {"add_dummy_prefix", normalizer_.add_dummy_prefix},
                        {"remove_extra_whitespaces", normalizer_.remove_extra_whitespaces}};
  }

  ProblemList problems_;
  SentencePieceFile file_;
  Json::Array pieces_, user_defined_;
  Trainer trainer_;
  NormalizerSpec normalizer_, denormalizer_;
};

}  // namespace

SentencePieceFile read_sentencepiece_file(std::string_view bytes,
                                          const SentencePieceOptions& options) {
  return Reader().read(bytes, options);
}

bool looks_like_sentencepiece(std::string_view bytes) {
  return bytes.starts_with('\x0A');  // field 1, the first piece
}

}  // namespace tenon::text
