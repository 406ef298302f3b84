#pragma once

#include <memory>

#include "text/token_model.h"

namespace tenon::text {

// What a piece of a SentencePiece model is for; the numbers are those of its files.
enum class PieceType : uint8_t {
  Normal = 1,
  Unknown = 2,
  Control = 3,
  UserDefined = 4,
  Unused = 5,
  Byte = 6,
};

// The pieces of a SentencePiece model of either kind. The JSON is Tenon's own
// (sentencepiece_file.cc writes it): {"type": "SentencePiece", "kind": "bpe" or "unigram",
// "byte_fallback": bool, "pieces": [[text, score, type], ...]}. Adds to `problems`; null where it
// did.
std::unique_ptr<const TokenModel> make_sentencepiece_model(const Component& component,
                                                           ProblemList& problems);

}  // namespace tenon::text
