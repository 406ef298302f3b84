#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "text/added_tokens.h"
#include "text/decoders.h"
#include "text/normalizers.h"
#include "text/post_processors.h"
#include "text/pre_tokenizers.h"
#include "text/token_model.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace tenon::text {

// What a Tokenizer consists of, in the order in which a text meets it.
struct TokenizerParts {
  AddedTokens added;
  std::unique_ptr<const Normalizer> normalizer;       // null: none
  std::unique_ptr<const PreTokenizer> pre_tokenizer;  // null: none
  std::unique_ptr<const TokenModel> model;
  std::unique_ptr<const PostProcessor> post_processor;  // null: none
  std::unique_ptr<const Decoder> decoder;

  // Of ill-formed UTF-8 in a text to encode. SentencePiece replaces each byte.
  Utf8Assembler::Replacement replacement = Utf8Assembler::Replacement::EachPart;

  SpecialTokenNames names;
  std::optional<int32_t> bos, eos, pad, unk;
  // The components as they were read, for serialise().
  data::Json normalizer_json, pre_tokenizer_json, post_processor_json, decoder_json;
};

// tokenizer_json.cc. `json` has the form of a tokenizer.json; throws every problem in one Error.
std::unique_ptr<const TokenizerParts> make_tokenizer_parts(const data::Json& json,
                                                           const SpecialTokenNames& names);

// Passes the token's text to `stage`; nothing for an unknown id, or a special one to be skipped.
void push_token(const TokenizerParts& parts, int32_t id, bool skip_special, DecoderStage& stage);

}  // namespace tenon::text
