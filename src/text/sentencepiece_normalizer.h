#pragma once

#include <memory>

#include "text/normalizers.h"

namespace tenon::text {

// The normaliser of a SentencePiece model. Its JSON is Tenon's own (sentencepiece_file.cc writes
// it): {"type": "SentencePiece", "charsmap": base64, "add_dummy_prefix": bool,
// "prefix_once": bool, "remove_extra_whitespaces": bool, "escape_whitespaces": bool,
// "whitespace_as_suffix": bool, "user_defined": [text, ...]}.
std::unique_ptr<const Normalizer> make_sentencepiece_normalizer(const Component& component);

}  // namespace tenon::text
