#pragma once

#include "text/unicode.h"

namespace tenon::text {

// Sets of characters as the tokenizers package of Hugging Face has them, where they differ from
// those of utf8proc (Unicode 15). Some of its tables are those of Unicode 8 and 9, others of
// Unicode 16 and 17. Found by giving the package every character alone.
bool is_bert_control(CodePoint c);        // Cc, Cf, Co and Cs without tab and line ends
bool is_bert_punctuation(CodePoint c);    // P, and ASCII that is neither letter, digit nor space
bool is_bert_nonspacing(CodePoint c);     // Mn, what BertNormalizer strips
bool is_bert_chinese(CodePoint c);        // the blocks that BertNormalizer puts spaces around
bool is_combining_mark(CodePoint c);      // M, what StripAccents strips
bool has_new_decomposition(CodePoint c);  // one that came after Unicode 9
CodePoint newer_lower_case(CodePoint c);  // of letters that utf8proc does not know, else c
bool is_newer_word(CodePoint c);          // of \w, unknown to utf8proc
bool is_newer_number(CodePoint c);        // of N, unknown to utf8proc

}  // namespace tenon::text
