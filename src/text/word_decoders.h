#pragma once

#include <memory>

#include "text/decoders.h"

namespace tenon::text {

// Decoders that look at whole tokens: WordPiece, BPEDecoder and CTC. Null for another type.
std::unique_ptr<const Decoder> make_word_decoder(const Component& component);

}  // namespace tenon::text
