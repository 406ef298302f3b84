#pragma once

#include <string>
#include <string_view>

namespace tenon::metrics {

// Porter's suffix stripping with the extensions of NLTK's PorterStemmer (its default mode), which
// rouge_score uses: "running" -> "run". `word` is lower-case ASCII letters and digits.
std::string porter_stem(std::string_view word);

}  // namespace tenon::metrics
