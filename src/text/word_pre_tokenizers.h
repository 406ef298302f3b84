#pragma once

#include <memory>

#include "text/pre_tokenizers.h"

namespace tenon::text {

// Pre-tokenizers that cut between characters of different kinds: Whitespace, WhitespaceSplit,
// BertPreTokenizer, Punctuation, Digits, CharDelimiterSplit, UnicodeScripts and FixedLength. Null
// for another type.
std::unique_ptr<const PreTokenizer> make_word_pre_tokenizer(const Component& component);

}  // namespace tenon::text
