#pragma once

#include <string_view>

#include "data/json.h"

namespace tenon::text {

// A rank file of tiktoken, one "base64 rank" a line, as the "BPE" model of a tokenizer.json: bytes
// in byte-level spelling, lower ranks merge first.
data::Json read_tiktoken_file(std::string_view text);

// Whether a file begins as a rank file does.
bool looks_like_tiktoken(std::string_view text);

}  // namespace tenon::text
