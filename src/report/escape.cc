#include "report/escape.h"

#include "base/text.h"

namespace tenon::report {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Calls `take` for each character that may stand in a page; others are replaced.
template <class Take>
void for_each_character(std::string_view text, Take take) {
  while (!text.empty()) {
    size_t bytes = 1;
    while (bytes <= 4 && bytes <= text.size() && !is_valid_utf8(text.substr(0, bytes))) ++bytes;
    bool valid = bytes <= 4 && bytes <= text.size();
    if (!valid) bytes = 1;
    auto first = static_cast<unsigned char>(text[0]);
    bool control = (first < 0x20 && first != '\n' && first != '\t') || first == 0x7F ||
                   (bytes == 2 && first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0);
    take(valid && !control ? text.substr(0, bytes) : kReplacement);
    text.remove_prefix(bytes);
  }
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for_each_character(text, [&](std::string_view character) {
    if (character == "&") {
      out += "&amp;";
    } else if (character == "<") {
      out += "&lt;";
    } else if (character == ">") {
      out += "&gt;";
    } else if (character == "\"") {
      out += "&quot;";
    } else if (character == "'") {
      out += "&#39;";
    } else {
      out += character;
    }
  });
  return out;
}

std::string escape_markdown(std::string_view text) {
  std::string out;
  for_each_character(text, [&](std::string_view character) {
    if (character == "\n") {
      out += ' ';
    } else if (character == "<") {
      out += "&lt;";
    } else if (character == "&") {
      out += "&amp;";
    } else {
      if (std::string_view("\\`*_[]|#").find(character) != std::string_view::npos) out += '\\';
      out += character;
    }
  });
  return out;
}

}  // namespace tenon::report
