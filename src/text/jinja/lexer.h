#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace tenon::text {

struct JinjaToken {
  enum class Kind {
    Text,        // text between tags, white space control applied
    OpenOutput,  // {{
    CloseOutput,
    OpenTag,  // {%
    CloseTag,
    Name,
    String,  // text: the value
    Integer,
    Float,
    Symbol,  // an operator or bracket
    End,
  };
  Kind kind;
  size_t place;
  std::string text;
  bool is(Kind wanted, std::string_view value) const { return kind == wanted && text == value; }
};

// \r\n and \r become \n, and one newline at the end goes: as Jinja reads a source.
std::string with_plain_newlines(std::string_view source);

// Cuts a source into tokens, the last one End. Throws with line and column.
std::vector<JinjaToken> lex_jinja(std::string_view source);

Error syntax_error(std::string_view source, size_t place, std::string_view problem,
                   ErrorCode code = ErrorCode::BadInput);

}  // namespace tenon::text
