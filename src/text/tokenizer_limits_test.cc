// Hostile texts of 10 MB: at most 2 s in a release build. The bound here has room for sanitizers;
// work that grows with the square of the text would take hours.
#include <gtest/gtest.h>

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
constexpr double kMostSeconds = 12;

// Of the processor, so that a busy machine changes nothing.
double processor_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
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
    return Tokenizer::from_folder(std::string(TENON_SOURCE_DIR) + "/tests/golden/tokenizers/" +
                                  GetParam());
  }
};

TEST_P(Hostile, TextsTakeLinearTime) {
  auto tokenizer = load();
  const std::pair<const char*, std::string> texts[] = {
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
    double start = processor_seconds();
    Ids ids = tokenizer->encode(text, {.add_special_tokens = false});
    double seconds = processor_seconds() - start;
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
    double start = processor_seconds();
    tokenizer->encode(text);
    EXPECT_LT(processor_seconds() - start, kMostSeconds);
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
