#pragma once

#include "text/unicode.h"

namespace tenon::text {

// A number for the script that a character belongs to, as Hugging Face's UnicodeScripts and
// SentencePiece tell scripts apart: Hiragana, Katakana and the long vowel mark count as Han; 0 is a
// space and what no script has.
int script_of(CodePoint c);

}  // namespace tenon::text
