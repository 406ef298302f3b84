#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace tenon {
namespace {

// Bytes of the valid UTF-8 character at text[at], or 0.
size_t utf8_length(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  auto continues = [&](size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  unsigned char first = byte(at);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(at + 1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!continues(at + 1) || !continues(at + 2)) return 0;
    if (first == 0xE0 && byte(at + 1) < 0xA0) return 0;
    if (first == 0xED && byte(at + 1) > 0x9F) return 0;
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!continues(at + 1) || !continues(at + 2) || !continues(at + 3)) return 0;
    if (first == 0xF0 && byte(at + 1) < 0x90) return 0;
    if (first == 0xF4 && byte(at + 1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

// Characters that could steer a terminal or hide text: C0, DEL, C1, bidirectional controls.
bool is_unsafe(std::string_view character) {
  unsigned char first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7F;
  if (character.size() == 2)
    return first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
  if (character.size() == 3 && first == 0xE2) {
    unsigned char second = static_cast<unsigned char>(character[1]);
    unsigned char third = static_cast<unsigned char>(character[2]);
    return (second == 0x80 && third >= 0x8B && third <= 0xAE && third != 0x90 &&
            (third < 0x90 || third >= 0xA8)) ||
           (second == 0x81 && third >= 0xA0 && third <= 0xAF);
  }
  return false;
}

void append_escaped(std::string& out, std::string_view bytes) {
  for (char c : bytes) {
    char buffer[5];
    std::snprintf(buffer, sizeof buffer, "\\x%02x", static_cast<unsigned char>(c));
    out += buffer;
  }
}

std::string scaled(double value, double base, std::span<const char* const> units) {
  size_t unit = 0;
  while (value >= base && unit + 1 < units.size()) {
    value /= base;
    ++unit;
  }
  char buffer[64];
  const char* format = unit == 0 ? "%.0f%s%s" : (value < 10 ? "%.2f%s%s" : "%.1f%s%s");
  std::snprintf(buffer, sizeof buffer, format, value, units[unit][0] ? " " : "", units[unit]);
  return buffer;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string escape_for_message(std::string_view text) {
  constexpr size_t kLongest = 4096, kKept = 256;
  if (text.size() > kLongest) {
    return escape_for_message(text.substr(0, kKept)) + "...(" + std::to_string(text.size()) +
           " bytes)..." + escape_for_message(text.substr(text.size() - kKept));
  }
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    size_t length = utf8_length(text, i);
    std::string_view character = text.substr(i, length == 0 ? 1 : length);
    if (character == "\n") {
      out += "\\n";
    } else if (character == "\t") {
      out += "\\t";
    } else if (length == 0 || is_unsafe(character)) {
      append_escaped(out, character);
    } else {
      out += character;
    }
    i += character.size();
  }
  return out;
}

bool is_valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    size_t length = utf8_length(text, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

std::string format_bytes(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  return scaled(static_cast<double>(bytes), 1024.0, kUnits);
}

std::string format_count(uint64_t count) {
  static constexpr const char* kUnits[] = {"", "K", "M", "B", "T"};
  return scaled(static_cast<double>(count), 1000.0, kUnits);
}

std::string format_seconds(double seconds) {
  char buffer[64];
  if (seconds < 0.001) {
    std::snprintf(buffer, sizeof buffer, "%.0f us", seconds * 1e6);
  } else if (seconds < 1) {
    std::snprintf(buffer, sizeof buffer, "%.0f ms", seconds * 1e3);
  } else if (seconds < 60) {
    std::snprintf(buffer, sizeof buffer, "%.1f s", seconds);
  } else if (seconds < 3600) {
    int whole = static_cast<int>(std::lround(seconds));
    std::snprintf(buffer, sizeof buffer, "%d min %02d s", whole / 60, whole % 60);
  } else {
    int64_t minutes = std::llround(seconds / 60);
    std::snprintf(buffer, sizeof buffer, "%lld h %02lld min", static_cast<long long>(minutes / 60),
                  static_cast<long long>(minutes % 60));
  }
  return buffer;
}

std::string format_double(double value) {
  char buffer[64];
  auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, result.ptr);
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out += separator;
    out += parts[i];
  }
  return out;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    size_t end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end == text.npos ? end : end - begin));
    if (end == text.npos) return parts;
    begin = end + 1;
  }
}

std::vector<std::string> nearest_names(std::string_view name,
                                       std::span<const std::string> candidates, size_t count) {
  // Edit distance is quadratic: bound hostile name lengths and candidate counts.
  constexpr size_t kLongestName = 256, kMostCandidates = 20000;
  std::string_view wanted = name.substr(0, kLongestName);
  std::vector<std::pair<size_t, const std::string*>> scored;
  for (size_t i = 0; i < candidates.size() && i < kMostCandidates; ++i) {
    size_t distance =
        edit_distance(wanted, std::string_view(candidates[i]).substr(0, kLongestName));
    if (distance <= std::max<size_t>(wanted.size() / 2, 2))
      scored.emplace_back(distance, &candidates[i]);
  }
  std::stable_sort(scored.begin(), scored.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> names;
  for (size_t i = 0; i < scored.size() && i < count; ++i) names.push_back(*scored[i].second);
  return names;
}

}  // namespace tenon
