#pragma once

#include <memory>

#include "text/normalizers.h"

namespace tenon::text {

// Normalizers that go through a text character by character: BertNormalizer, StripAccents, Nmt,
// ByteLevel and Precompiled. Null for another type.
std::unique_ptr<const Normalizer> make_char_normalizer(const Component& component);

}  // namespace tenon::text
