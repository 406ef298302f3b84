#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tenon::text {

// RFC 4648 with padding. Nothing where `text` is not base64 to the last character.
std::optional<std::string> decode_base64(std::string_view text);
std::string encode_base64(std::string_view bytes);

}  // namespace tenon::text
