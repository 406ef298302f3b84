#include "metrics/porter_stemmer.h"

#include <span>
#include <utility>

namespace tenon::metrics {
namespace {

// After nltk/stem/porter.py in mode NLTK_EXTENSIONS, step for step. What differs from Porter's
// paper is marked "NLTK".

bool is_consonant(std::string_view word, size_t i) {
  // A y is a consonant at the start and after a vowel: count back over the run of y.
  bool flip = false;
  while (word[i] == 'y' && i > 0) {
    flip = !flip;
    --i;
  }
  bool consonant = std::string_view("aeiou").find(word[i]) == std::string_view::npos;
  return consonant != flip;
}

// Porter's m: how often a vowel is followed by a consonant.
int measure(std::string_view stem) {
  int count = 0;
  bool vowel_before = false;
  for (size_t i = 0; i < stem.size(); ++i) {
    bool consonant = is_consonant(stem, i);
    if (consonant && vowel_before) ++count;
    vowel_before = !consonant;
  }
  return count;
}

bool contains_vowel(std::string_view stem) {
  for (size_t i = 0; i < stem.size(); ++i) {
    if (!is_consonant(stem, i)) return true;
  }
  return false;
}

bool ends_in_double_consonant(std::string_view word) {
  size_t n = word.size();
  return n >= 2 && word[n - 1] == word[n - 2] && is_consonant(word, n - 1);
}

bool ends_in_cvc(std::string_view word) {
  size_t n = word.size();
  // NLTK: a vowel and a consonant alone count too.
  if (n == 2) return !is_consonant(word, 0) && is_consonant(word, 1);
  return n >= 3 && is_consonant(word, n - 3) && !is_consonant(word, n - 2) &&
         is_consonant(word, n - 1) &&
         std::string_view("wxy").find(word[n - 1]) == std::string_view::npos;
}

bool is_one_of(char letter, std::string_view letters) {
  return letters.find(letter) != std::string_view::npos;
}

std::string with_suffix(std::string_view word, size_t drop, std::string_view suffix) {
  return std::string(word.substr(0, word.size() - drop)).append(suffix);
}

struct Rule {
  std::string_view suffix, replacement;
};

// The first rule whose suffix the word has decides; its stem must have a measure over `least`.
std::string apply_rules(std::string_view word, std::span<const Rule> rules, int least) {
  for (const Rule& rule : rules) {
    if (!word.ends_with(rule.suffix)) continue;
    std::string_view stem = word.substr(0, word.size() - rule.suffix.size());
    bool holds = measure(stem) > least;
    // (*S or *T) ION. NLTK: the l of "logi" counts with the stem.
    if (rule.suffix == "ion") holds = holds && is_one_of(stem.back(), "st");
    if (rule.suffix == "logi") holds = measure(word.substr(0, word.size() - 3)) > least;
    return holds ? std::string(stem).append(rule.replacement) : std::string(word);
  }
  return std::string(word);
}

std::string step_1a(std::string_view word) {
  if (word.ends_with("ies")) return with_suffix(word, 3, word.size() == 4 ? "ie" : "i");  // NLTK
  if (word.ends_with("sses")) return with_suffix(word, 2, "");
  if (word.ends_with("s") && !word.ends_with("ss")) return with_suffix(word, 1, "");
  return std::string(word);
}

// What follows where -ed or -ing was taken off.
std::string repair_stem(std::string_view stem) {
  for (std::string_view ending : {"at", "bl", "iz"}) {
    if (stem.ends_with(ending)) return with_suffix(stem, 0, "e");
  }
  if (ends_in_double_consonant(stem)) {
    return with_suffix(stem, is_one_of(stem.back(), "lsz") ? 0 : 1, "");
  }
  if (measure(stem) == 1 && ends_in_cvc(stem)) return with_suffix(stem, 0, "e");
  return std::string(stem);
}

std::string step_1b(std::string_view word) {
  if (word.ends_with("ied")) return with_suffix(word, 3, word.size() == 4 ? "ie" : "i");  // NLTK
  if (word.ends_with("eed")) {
    bool holds = measure(word.substr(0, word.size() - 3)) > 0;
    return with_suffix(word, holds ? 1 : 0, "");
  }
  for (std::string_view ending : {"ed", "ing"}) {
    if (!word.ends_with(ending)) continue;
    std::string_view stem = word.substr(0, word.size() - ending.size());
    if (contains_vowel(stem)) return repair_stem(stem);
  }
  return std::string(word);
}

std::string step_1c(std::string_view word) {
  // NLTK: after a consonant, and not in words of two letters.
  bool holds = word.size() > 2 && word.ends_with("y") && is_consonant(word, word.size() - 2);
  return holds ? with_suffix(word, 1, "i") : std::string(word);
}

constexpr Rule kStep2[] = {
    {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"},
    {"bli", "ble"},     {"alli", "al"},     {"entli", "ent"}, {"eli", "e"},     {"ousli", "ous"},
    {"ization", "ize"}, {"ation", "ate"},   {"ator", "ate"},  {"alism", "al"},  {"iveness", "ive"},
    {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},  {"iviti", "ive"}, {"biliti", "ble"},
    {"fulli", "ful"},   {"logi", "log"},
};
constexpr Rule kStep3[] = {
    {"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"},
    {"ical", "ic"},  {"ful", ""},   {"ness", ""},
};
constexpr Rule kStep4[] = {
    {"al", ""},  {"ance", ""},  {"ence", ""}, {"er", ""},  {"ic", ""},  {"able", ""}, {"ible", ""},
    {"ant", ""}, {"ement", ""}, {"ment", ""}, {"ent", ""}, {"ion", ""}, {"ou", ""},   {"ism", ""},
    {"ate", ""}, {"iti", ""},   {"ous", ""},  {"ive", ""}, {"ize", ""},
};

std::string step_2(std::string_view word) {
  // NLTK: ALLI -> AL comes first, and its result goes through the step again.
  if (word.ends_with("alli") && measure(word.substr(0, word.size() - 4)) > 0) {
    return step_2(with_suffix(word, 2, ""));
  }
  return apply_rules(word, kStep2, 0);
}

std::string step_5(std::string word) {
  if (word.ends_with("e")) {
    std::string_view stem = std::string_view(word).substr(0, word.size() - 1);
    int m = measure(stem);
    if (m > 1 || (m == 1 && !ends_in_cvc(stem))) word.pop_back();
  }
  if (word.ends_with("ll") && measure(std::string_view(word).substr(0, word.size() - 1)) > 1) {
    word.pop_back();
  }
  return word;
}

constexpr std::pair<std::string_view, std::string_view> kIrregular[] = {
    {"sky", "sky"},        {"skies", "sky"},       {"dying", "die"},        {"lying", "lie"},
    {"tying", "tie"},      {"news", "news"},       {"innings", "inning"},   {"inning", "inning"},
    {"outings", "outing"}, {"outing", "outing"},   {"cannings", "canning"}, {"canning", "canning"},
    {"howe", "howe"},      {"proceed", "proceed"}, {"exceed", "exceed"},    {"succeed", "succeed"},
};

}  // namespace

std::string porter_stem(std::string_view word) {
  for (const auto& [form, stem] : kIrregular) {
    if (word == form) return std::string(stem);
  }
  if (word.size() <= 2) return std::string(word);
  std::string stem = step_2(step_1c(step_1b(step_1a(word))));
  return step_5(apply_rules(apply_rules(stem, kStep3, 0), kStep4, 1));
}

}  // namespace tenon::metrics
