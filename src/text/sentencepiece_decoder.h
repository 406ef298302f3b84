#pragma once

#include <memory>

#include "text/decoders.h"

namespace tenon::text {

// How SentencePiece joins pieces. Its JSON is Tenon's own (sentencepiece_file.cc writes it):
// {"type": "SentencePiece", "unk": text, "unk_surface": text, "byte_fallback": bool,
// "add_dummy_prefix": bool, "remove_extra_whitespaces": bool}.
std::unique_ptr<const Decoder> make_sentencepiece_decoder(const Component& component);

}  // namespace tenon::text
