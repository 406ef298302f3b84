#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/json.h"
#include "text/tokenizer.h"

namespace tenon::text {

// A SentencePiece model file (protobuf), as the components of a tokenizer.json.
struct SentencePieceFile {
  data::Json normalizer, model, decoder;
  std::vector<std::string> control;  // texts of the control pieces
  std::vector<int64_t> control_ids;
  int64_t pieces = 0;
  SpecialTokenNames names;  // as far as the model has such pieces
};

struct SentencePieceOptions {
  // The space before a text only where the text begins, not after each special token: what
  // "legacy": false of a LlamaTokenizer means.
  bool prefix_once = false;
};

// Throws every problem of form in one Error; the pieces are checked by make_token_model().
SentencePieceFile read_sentencepiece_file(std::string_view bytes,
                                          const SentencePieceOptions& options);

// Whether a file begins as a SentencePiece model does.
bool looks_like_sentencepiece(std::string_view bytes);

}  // namespace tenon::text
