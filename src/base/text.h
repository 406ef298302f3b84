#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

// Text for a one-line message: control characters and invalid UTF-8 become \xNN, newlines \n, and
// text over 512 bytes keeps its beginning and end. Keeps hostile names from steering a terminal.
std::string escape_for_message(std::string_view text);

bool is_valid_utf8(std::string_view text);

// "1.5 GiB", "312 KiB", "17 B".
std::string format_bytes(uint64_t bytes);
// "6.74 B", "124.4 M", "812".
std::string format_count(uint64_t count);
// "1 h 02 min", "3 min 20 s", "4.1 s", "12 ms".
std::string format_seconds(double seconds);
// Shortest text that reads back as the same double.
std::string format_double(double value);

std::string join(std::span<const std::string> parts, std::string_view separator);
std::vector<std::string> split(std::string_view text, char separator);

// The candidates nearest to `name` by edit distance, best first, at most `count`, none further than
// half the name's length. For "did you mean".
std::vector<std::string> nearest_names(std::string_view name,
                                       std::span<const std::string> candidates, size_t count = 3);

}  // namespace tenon
