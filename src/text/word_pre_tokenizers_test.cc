// Expected pieces are those of the tokenizers package (0.23.2).
#include "text/word_pre_tokenizers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/unicode_scripts.h"

namespace tenon::text {
namespace {

using testing::ElementsAre;

std::vector<std::string> cut(std::string_view json_text, std::string text) {
  data::Json json = data::parse_json(json_text);
  auto size = static_cast<uint32_t>(text.size());
  Pieces pieces{std::move(text), {{0, size, -1, true}}};
  make_pre_tokenizer({json, "pre_tokenizer"})->apply(pieces);
  std::vector<std::string> parts;
  for (const Piece& piece : pieces.items) parts.emplace_back(pieces.view(piece));
  return parts;
}

TEST(WordPreTokenizers, Whitespace) {
  EXPECT_THAT(cut(R"({"type":"Whitespace"})", "Hey man!?  a_b1 \u00e9e\u0301\n"),
              ElementsAre("Hey", "man", "!?", "a_b1", "\u00e9e\u0301"));
  EXPECT_THAT(cut(R"({"type":"Whitespace"})", " \n"), ElementsAre());
}

TEST(WordPreTokenizers, WhitespaceSplit) {
  EXPECT_THAT(cut(R"({"type":"WhitespaceSplit"})", " a! b\u00a0c\u2028"),
              ElementsAre("a!", "b", "c"));
}

TEST(WordPreTokenizers, Bert) {
  EXPECT_THAT(cut(R"({"type":"BertPreTokenizer"})", "Hey friend!? How-are\u3002 $5"),
              ElementsAre("Hey", "friend", "!", "?", "How", "-", "are", "\u3002", "$", "5"));
}

TEST(WordPreTokenizers, PunctuationInEachBehaviour) {
  auto with = [](std::string_view behavior) {
    return cut(R"({"type":"Punctuation","behavior":")" + std::string(behavior) + "\"}", "a!?b.");
  };
  EXPECT_THAT(cut(R"({"type":"Punctuation"})", "a!?b."), ElementsAre("a", "!", "?", "b", "."));
  EXPECT_THAT(with("Isolated"), ElementsAre("a", "!", "?", "b", "."));
  EXPECT_THAT(with("Removed"), ElementsAre("a", "b"));
  EXPECT_THAT(with("MergedWithPrevious"), ElementsAre("a!", "?", "b."));
  EXPECT_THAT(with("MergedWithNext"), ElementsAre("a", "!", "?b", "."));
  EXPECT_THAT(with("Contiguous"), ElementsAre("a", "!?", "b", "."));
  EXPECT_THROW(with("Sideways"), Error);
}

TEST(WordPreTokenizers, CharDelimiter) {
  EXPECT_THAT(cut(R"({"type":"CharDelimiterSplit","delimiter":"-"})", "-a--b c-"),
              ElementsAre("a", "b c"));
  EXPECT_THROW(cut(R"({"type":"CharDelimiterSplit","delimiter":"ab"})", "a"), Error);
}

TEST(WordPreTokenizers, FixedLengthCountsCharacters) {
  EXPECT_THAT(cut(R"({"type":"FixedLength","length":2})", "a\u00e9\U0001F600b\u4e2d"),
              ElementsAre("a\u00e9", "\U0001F600b", "\u4e2d"));
  EXPECT_THROW(cut(R"({"type":"FixedLength","length":0})", "a"), Error);
}

TEST(WordPreTokenizers, ScriptsJoinJapaneseAndKeepSpaces) {
  constexpr std::string_view kScripts = R"({"type":"UnicodeScripts"})";
  EXPECT_THAT(cut(kScripts, "\u3069\u3053\u3067\u751f\u308c\u3002Yes"),
              ElementsAre("\u3069\u3053\u3067\u751f\u308c", "\u3002", "Yes"));
  EXPECT_THAT(cut(kScripts, "Apples are \u043b\u044e\u0431"),
              ElementsAre("Apples are ", "\u043b\u044e\u0431"));
  // Spaces in front belong to no script and are lost.
  EXPECT_THAT(cut(kScripts, "  a"), ElementsAre("a"));
  EXPECT_THAT(cut(kScripts, "  "), ElementsAre());
}

TEST(UnicodeScripts, TellsScriptsApart) {
  EXPECT_EQ(script_of(' '), 0);
  EXPECT_EQ(script_of('a'), script_of(0x00E9));
  EXPECT_EQ(script_of(0x3042), script_of(0x4E2D));  // Hiragana, Han
  EXPECT_EQ(script_of(0x30FC), script_of(0x30A2));
  EXPECT_NE(script_of('a'), script_of('1'));
  EXPECT_NE(script_of(0x03B1), script_of(0x0430));
  EXPECT_EQ(script_of(0x10FFFF), 0);
}

}  // namespace
}  // namespace tenon::text
