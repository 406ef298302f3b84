#pragma once

#include <string>
#include <string_view>

namespace tenon::report {

// Text as HTML text or attribute: markup is escaped; invalid UTF-8 and control characters other
// than newline and tab become U+FFFD. Names in it come from files.
std::string escape_html(std::string_view text);
// Text in one cell or paragraph of Markdown.
std::string escape_markdown(std::string_view text);

}  // namespace tenon::report
