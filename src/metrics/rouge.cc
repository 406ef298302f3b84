#include "metrics/rouge.h"

#include <algorithm>
#include <cstdint>
#include <map>

#include "metrics/porter_stemmer.h"

namespace tenon::metrics {
namespace {

using Tokens = std::vector<std::string>;

RougeScore score_of(int64_t hits, int64_t in_text, int64_t in_reference) {
  RougeScore score;
  if (in_text > 0) score.precision = static_cast<double>(hits) / static_cast<double>(in_text);
  if (in_reference > 0)
    score.recall = static_cast<double>(hits) / static_cast<double>(in_reference);
  double sum = score.precision + score.recall;
  if (sum > 0) score.f = 2 * score.precision * score.recall / sum;
  return score;
}

std::map<Tokens, int64_t> count_ngrams(const Tokens& tokens, size_t n) {
  std::map<Tokens, int64_t> counts;
  for (size_t i = 0; i + n <= tokens.size(); ++i) {
    ++counts[Tokens(tokens.begin() + i, tokens.begin() + i + n)];
  }
  return counts;
}

RougeScore rouge_n(const Tokens& text, const Tokens& reference, size_t n) {
  std::map<Tokens, int64_t> in_text = count_ngrams(text, n), wanted = count_ngrams(reference, n);
  int64_t hits = 0;
  for (const auto& [ngram, count] : wanted) {
    auto found = in_text.find(ngram);
    if (found != in_text.end()) hits += std::min(count, found->second);
  }
  auto ngrams = [n](const Tokens& tokens) {
    return std::max<int64_t>(static_cast<int64_t>(tokens.size() - n) + 1, 0);
  };
  return score_of(hits, ngrams(text), ngrams(reference));
}

// Lengths of the longest common subsequences of all prefixes: [reference + 1][text + 1].
class LcsTable {
 public:
  LcsTable(const Tokens& reference, const Tokens& text)
      : columns_(text.size() + 1), lengths_((reference.size() + 1) * columns_) {
    for (size_t i = 1; i <= reference.size(); ++i) {
      for (size_t j = 1; j <= text.size(); ++j) {
        cell(i, j) = reference[i - 1] == text[j - 1] ? at(i - 1, j - 1) + 1
                                                     : std::max(at(i - 1, j), at(i, j - 1));
      }
    }
  }
  int32_t at(size_t i, size_t j) const { return lengths_[i * columns_ + j]; }

 private:
  int32_t& cell(size_t i, size_t j) { return lengths_[i * columns_ + j]; }
  size_t columns_;
  std::vector<int32_t> lengths_;
};

// Marks the tokens of `reference` that lie on the common subsequence with `text`. Where there are
// several, the choice is rouge_score's: it changes the union.
void mark_common(const Tokens& reference, const Tokens& text, std::vector<bool>& marked) {
  LcsTable table(reference, text);
  size_t i = reference.size(), j = text.size();
  while (i > 0 && j > 0) {
    if (reference[i - 1] == text[j - 1]) {
      marked[i - 1] = true;
      --i;
      --j;
    } else if (table.at(i, j - 1) > table.at(i - 1, j)) {
      --j;
    } else {
      --i;
    }
  }
}

std::vector<Tokens> sentences_of(std::string_view text, const RougeOptions& options) {
  std::vector<Tokens> sentences;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) sentences.push_back(rouge_tokens(text.substr(0, end), options));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return sentences;
}

std::map<std::string_view, int64_t> count_words(const std::vector<Tokens>& sentences) {
  std::map<std::string_view, int64_t> counts;
  for (const Tokens& sentence : sentences) {
    for (const std::string& token : sentence) ++counts[token];
  }
  return counts;
}

int64_t total_words(const std::vector<Tokens>& sentences) {
  int64_t count = 0;
  for (const Tokens& sentence : sentences) count += static_cast<int64_t>(sentence.size());
  return count;
}

RougeScore rouge_l_sum(const std::vector<Tokens>& text, const std::vector<Tokens>& reference) {
  // Each word is spent once on each side, so that repeated sentences do not count twice.
  std::map<std::string_view, int64_t> left_in_text = count_words(text);
  std::map<std::string_view, int64_t> left_in_reference = count_words(reference);
  int64_t hits = 0;
  for (const Tokens& sentence : reference) {
    std::vector<bool> marked(sentence.size());
    for (const Tokens& candidate : text) mark_common(sentence, candidate, marked);
    for (size_t i = 0; i < sentence.size(); ++i) {
      if (!marked[i]) continue;
      int64_t& in_text = left_in_text[sentence[i]];
      int64_t& in_reference = left_in_reference[sentence[i]];
      if (in_text <= 0 || in_reference <= 0) continue;
      ++hits;
      --in_text;
      --in_reference;
    }
  }
  return score_of(hits, total_words(text), total_words(reference));
}

}  // namespace

std::vector<std::string> rouge_tokens(std::string_view text, const RougeOptions& options) {
  Tokens tokens;
  std::string word;
  auto end_word = [&] {
    if (!word.empty()) tokens.push_back(options.stem && word.size() > 3 ? porter_stem(word) : word);
    word.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    char byte = text[i];
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte - 'A' + 'a');
    if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9')) {
      word += byte;
    } else if (text.substr(i, 3) == "\xE2\x84\xAA") {  // the Kelvin sign's lower case is k
      word += 'k';
      i += 2;
    } else if (text.substr(i, 2) == "\xC4\xB0") {  // dotted capital I: i and a combining dot
      word += 'i';
      end_word();
      i += 1;
    } else {
      end_word();
    }
  }
  end_word();
  return tokens;
}

RougeScores rouge(std::string_view text, std::string_view reference, const RougeOptions& options) {
  Tokens got = rouge_tokens(text, options), wanted = rouge_tokens(reference, options);
  int64_t common = LcsTable(wanted, got).at(wanted.size(), got.size());
  return {
      .rouge1 = rouge_n(got, wanted, 1),
      .rouge2 = rouge_n(got, wanted, 2),
      .rouge_l =
          score_of(common, static_cast<int64_t>(got.size()), static_cast<int64_t>(wanted.size())),
      .rouge_l_sum = rouge_l_sum(sentences_of(text, options), sentences_of(reference, options))};
}

}  // namespace tenon::metrics
