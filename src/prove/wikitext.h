#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::prove {

// What lm-evaluation-harness does to a page of WikiText before it is scored (its task "wikitext"):
// spaces around punctuation, brackets and number separators go. Rules that do nothing there because
// of a slip do the same nothing here: figures must stay comparable.
std::string detokenise_wikitext(std::string_view page);  // UTF-8

// len(re.split("\\s+", page)) of Python: pieces between runs of white space, empty ones at the ends
// included.
int64_t count_words(std::string_view page);

}  // namespace tenon::prove
