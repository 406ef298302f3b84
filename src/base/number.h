#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tenon {

// The one way from text of a file to a number: the whole text, no blanks, no locale, no overflow.
// nullopt where it is anything else. JSON has its own reader.
template <class T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

}  // namespace tenon
