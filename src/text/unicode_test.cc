#include "text/unicode.h"

#include <gtest/gtest.h>

#include <ctime>

#include "text/byte_level.h"

namespace tenon::text {
namespace {

TEST(Unicode, ReadsAndWritesEveryScalarValue) {
  for (CodePoint c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    size_t at = 0, end = text.size();
    ASSERT_EQ(next_char(text, at), c);
    ASSERT_EQ(at, text.size());
    ASSERT_EQ(previous_char(text, end), c);
    ASSERT_EQ(end, 0u);
  }
}

TEST(Unicode, KnowsThe25WhiteSpaceCharacters) {
  int count = 0;
  for (CodePoint c = 0; c <= 0x10FFFF; ++c) count += is_white_space(c);
  EXPECT_EQ(count, 25);
  EXPECT_FALSE(is_white_space(0x180E));
  EXPECT_FALSE(is_white_space(0x200B));
  EXPECT_FALSE(is_white_space(0x1F));
}

TEST(Unicode, Classes) {
  EXPECT_EQ(char_class('a'), CharClass::Letter);
  EXPECT_EQ(char_class(0x4E00), CharClass::Letter);
  EXPECT_EQ(char_class(0x2167), CharClass::Number);  // Roman numeral eight: Nl
  EXPECT_EQ(char_class(0xBD), CharClass::Number);    // one half: No
  EXPECT_EQ(char_class(0x301), CharClass::Other);    // a mark
  EXPECT_EQ(char_class('\n'), CharClass::NewLine);
  EXPECT_EQ(char_class(0x85), CharClass::Space);
  EXPECT_EQ(char_class(0x2028), CharClass::Space);
  EXPECT_TRUE(is_word('_'));
  EXPECT_TRUE(is_word(0x301));
  EXPECT_TRUE(is_word(0x24B6));
  EXPECT_FALSE(is_word('-'));
  EXPECT_FALSE(is_word(0xBD));
}

TEST(Unicode, NormalForms) {
  EXPECT_EQ(normalised("e\u0301", NormalForm::Nfc), "é");
  EXPECT_EQ(normalised("é", NormalForm::Nfd), "e\u0301");
  EXPECT_EQ(normalised("ﬁ½", NormalForm::Nfc), "ﬁ½");
  EXPECT_EQ(normalised("ﬁ", NormalForm::Nfkc), "fi");
  EXPECT_EQ(normalised("Å", NormalForm::Nfkd), "A\u030a");
  EXPECT_EQ(normalised("\u1112\u1161\u11ab", NormalForm::Nfc), "한");
  EXPECT_EQ(normalised("한", NormalForm::Nfd), "\u1112\u1161\u11ab");
  EXPECT_EQ(normalised("a\u0302\u0323", NormalForm::Nfc), "\u1ead");  // marks out of order
  EXPECT_EQ(normalised("\u0958", NormalForm::Nfc), "\u0915\u093c");   // never composed
  EXPECT_EQ(normalised("\u0344", NormalForm::Nfc), "\u0308\u0301");
}

TEST(Unicode, AMillionMarksOutOfOrderTakeNoQuadraticTime) {
  std::string text = "a";
  for (int i = 0; i < 1'000'000; ++i) append_utf8(text, i % 2 ? 0x323 : 0x302);
  std::clock_t start = std::clock();
  std::string form = normalised(text, NormalForm::Nfc);
  // Quadratic time would be hours; the bound leaves room for a slow machine and sanitizers.
  EXPECT_LT(std::clock() - start, 20 * CLOCKS_PER_SEC);
  EXPECT_TRUE(form.starts_with("\u1ead\u0323"));
}

TEST(Unicode, LowerCase) {
  EXPECT_EQ(lowercased("AÉΣİß"), "aéσi\u0307ß");
}

std::string assembled(std::string_view bytes, Utf8Assembler::Replacement replacement) {
  Utf8Assembler assembler(replacement);
  std::string out;
  for (char byte : bytes) assembler.push(static_cast<uint8_t>(byte), out);
  assembler.finish(out);
  return out;
}

TEST(Utf8Assembler, ReplacesEachIllFormedPart) {
  using R = Utf8Assembler::Replacement;
  EXPECT_EQ(assembled("aé€😀", R::EachPart), "aé€😀");
  EXPECT_EQ(assembled("\xF0\x9F\x98", R::EachPart), "\uFFFD");
  EXPECT_EQ(assembled("\xF0\x9F\x98", R::EachByte), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(assembled("\xE2\x82z", R::EachPart), "\uFFFDz");
  EXPECT_EQ(assembled("\xC0\xAF", R::EachPart), "\uFFFD\uFFFD");
  EXPECT_EQ(assembled("\xED\xA0\x80", R::EachPart), "\uFFFD\uFFFD\uFFFD");  // a surrogate
  EXPECT_EQ(assembled("\xF4\x90\x80\x80", R::EachPart), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(assembled("\xE2\xE2\x82\xAC", R::EachPart), "\uFFFD€");
}

TEST(ByteLevel, SpellsEachByteAsOneCharacterAndBack) {
  for (int byte = 0; byte < 256; ++byte) {
    std::string text;
    append_byte_char(text, static_cast<uint8_t>(byte));
    size_t at = 0;
    EXPECT_EQ(byte_of_char(next_char(text, at)), byte);
    EXPECT_EQ(at, text.size());
  }
  std::string space;
  append_byte_char(space, ' ');
  EXPECT_EQ(space, "Ġ");
  EXPECT_EQ(byte_of_char(' '), -1);
  EXPECT_EQ(byte_of_char(0x144), -1);
}

}  // namespace
}  // namespace tenon::text
