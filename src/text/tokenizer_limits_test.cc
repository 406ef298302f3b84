// Hostile texts of 10 MB: at most 2 s of processor time in a release build. Work that grows with
// the square of the text would take hours.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <random>

#include "base/error.h"
#include "base/limits.h"
#include "text/tokenizer_test_support.h"
#include "text/unicode.h"

namespace tenon::text {
namespace {

constexpr size_t kBytes = 10'000'000;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kMostSeconds = 24;
#else
constexpr double kMostSeconds = 2;
#endif

// Of the processor, so that a busy machine changes little: what runs beside shares its caches, and
// the best of three tells. What has time enough is run once.
double encode_seconds(const Tokenizer& tokenizer, const std::string& text, Ids& ids) {
  double best = kMostSeconds;
  for (int run = 0; run < 3 && best >= kMostSeconds; ++run) {
    std::clock_t start = std::clock();
    ids = tokenizer.encode(text, {.add_special_tokens = false});
    double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    best = run == 0 ? seconds : std::min(best, seconds);
  }
  return best;
}

std::string repeated(std::string_view part) {
  std::string text;
  while (text.size() + part.size() <= kBytes) text += part;
  return text;
}

std::string random_chars(CodePoint first, uint32_t count) {
  std::mt19937 rng(1);
  std::string text;
  while (text.size() < kBytes) append_utf8(text, first + static_cast<CodePoint>(rng() % count));
  return text;
}

class Hostile : public testing::TestWithParam<std::string> {
 protected:
  std::shared_ptr<const Tokenizer> load() const {
    return Tokenizer::from_folder(TENON_GOLDEN_TOKENIZERS + GetParam());
  }
};

TEST_P(Hostile, TextsTakeLinearTime) {
  auto tokenizer = load();
  static const std::pair<const char*, std::string> texts[] = {
      {"one letter", repeated("a")},
      {"random letters", random_chars('a', 26)},
      {"one mark", repeated("\u0301")},
      {"random marks", random_chars(0x300, 80)},
      {"new lines", repeated("\n")},
      {"spaces", repeated(" ") + "x"},
      {"quotes", repeated("'")},
      {"half a token", repeated("<|end")},
      {"CJK", random_chars(0x4E00, 5000)},
      {"emoji", repeated("😀")},
      {"invalid UTF-8", repeated("a\xFF\xE4\xB8")},
      {"long words", repeated(std::string(60, 'a') + " ")},
  };
  for (const auto& [name, text] : texts) {
    Ids ids;
    double seconds = encode_seconds(*tokenizer, text, ids);
    std::printf("%-16s %-16s %.2f s for %.1f MB\n", GetParam().c_str(), name, seconds,
                static_cast<double>(text.size()) / 1e6);
    EXPECT_LT(seconds, kMostSeconds) << name;
    // Normalisers may leave nothing: marks are stripped, white space is only a border.
    EXPECT_TRUE(!ids.empty() || GetParam() == "bert" || text[0] == '\n' || text[0] == ' ');
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Hostile,
                         testing::Values("llama2", "qwen2", "bert", "t5", "sentencepiece_bpe",
                                         "sentencepiece_unigram"));

// As large as those of published models, and every merge can happen in a text of random letters,
// which is one piece: no pre-tokenizer cuts it.
std::shared_ptr<const Tokenizer> make_large_tokenizer() {
  std::mt19937 rng(1);
  std::vector<std::pair<std::string, std::string>> merges, longer;
  for (char a = 'a'; a <= 'z'; ++a) {
    for (char b = 'a'; b <= 'z'; ++b) merges.push_back({{a}, {b}});
  }
  std::ranges::shuffle(merges, rng);
  std::vector<std::string> pairs;
  for (const auto& [left, right] : merges) pairs.push_back(left + right);
  for (const std::string& pair : pairs) {
    for (char c = 'a'; c <= 'z'; ++c) longer.push_back({pair, {c}});
    for (size_t i = 0; i < 160; ++i) longer.push_back({pair, pairs[i * 4 + rng() % 4]});
  }
  std::ranges::shuffle(longer, rng);
  merges.insert(merges.end(), longer.begin(), longer.end());
  TestTokenizer parts;
  std::string vocab = "{\"a\":0", list;
  int id = 1;
  for (char c = 'b'; c <= 'z'; ++c)
    vocab += ",\"" + std::string(1, c) + "\":" + std::to_string(id++);
  for (const auto& [left, right] : merges) {
    vocab += ",\"" + left + right + "\":" + std::to_string(id++);
    list += (list.empty() ? "[\"" : ",\"") + left + " " + right + "\"";
  }
  parts.vocab = vocab + "}";
  parts.merges = list + "]";
  return parts.make();
}

TEST(Limits, AVocabularyOfFullSizeTakesLinearTime) {
  auto tokenizer = make_large_tokenizer();
  EXPECT_GT(tokenizer->vocabulary_size(), 126'000);
  Ids ids;
  double seconds = encode_seconds(*tokenizer, random_chars('a', 26), ids);
  std::printf("%.2f s for %zu tokens\n", seconds, ids.size());
  EXPECT_LT(seconds, kMostSeconds);
  EXPECT_LT(ids.size(), kBytes / 2);
}

TEST(Limits, ALongPromptIsRefused) {
  auto tokenizer = TestTokenizer().make();
  EXPECT_THROW(tokenizer->encode(std::string(static_cast<size_t>(kLimits.prompt_bytes) + 1, 'a')),
               Error);
}

TEST(Limits, AGeneralPatternOnALongTextTakesLinearTime) {
  TestTokenizer parts;
  parts.pre_tokenizer =
      R"({"type":"Split","pattern":{"Regex":" ?\\p{L}+|\\s+(?!\\S)|\\s+|[^\\s\\p{L}]+"},"behavior":"Isolated"})";
  auto tokenizer = parts.make();
  for (const std::string& text :
       {repeated("a"), repeated(" ") + "x", repeated("ab "), repeated("!")}) {
    Ids ids;
    EXPECT_LT(encode_seconds(*tokenizer, text, ids), kMostSeconds);
  }
}

TEST(Limits, LongTokensAreRefused) {
  TestTokenizer parts;
  parts.merges = "[]";
  parts.vocab = "{\"" + std::string(70'000, 'a') + "\":0}";
  EXPECT_THROW(parts.make(), Error);
  parts.vocab = "{\"a\":0}";
  parts.added = R"([{"id":5,"content":")" + std::string(2000, 'a') + "\"}]";
  EXPECT_THROW(parts.make(), Error);
}

}  // namespace
}  // namespace tenon::text
