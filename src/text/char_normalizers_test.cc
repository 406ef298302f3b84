// Expected texts are those of the tokenizers package (0.23.2).
#include "text/char_normalizers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/package_unicode.h"
#include "text/unicode.h"

namespace tenon::text {
namespace {

std::string normal(std::string_view json_text, std::string text) {
  data::Json json = data::parse_json(json_text);
  NormalText normal{std::move(text)};
  make_normalizer({json, "normalizer"})->apply(normal);
  return normal.text;
}

TEST(BertNormalizer, CleansSpacesStripsAndLowers) {
  constexpr std::string_view kBert = R"({"type":"BertNormalizer","clean_text":true,
      "handle_chinese_chars":true,"strip_accents":null,"lowercase":true})";
  EXPECT_EQ(normal(kBert, "H\u00c9llo\tW\u00d6RLD\n"), "hello world ");
  EXPECT_EQ(normal(kBert, "a\u4e2d\u6587b"), "a \u4e2d  \u6587 b");
  EXPECT_EQ(normal(kBert,
                   "a\u200bb\u00adc\x01"
                   "d\ufffd"),
            "abcd");
  EXPECT_EQ(normal(kBert, "\u1e69\u0130"), "si");
  // Hangul stays in the parts that NFD gave.
  EXPECT_EQ(normal(kBert, "\uac01"), "\u1100\u1161\u11a8");
  EXPECT_EQ(normal(kBert, ""), "");
}

TEST(BertNormalizer, EachStepCanBeLeftOut) {
  EXPECT_EQ(normal(R"({"type":"BertNormalizer","clean_text":false,"handle_chinese_chars":false,
      "strip_accents":false,"lowercase":true})",
                   "\t\u00c9\u4e2d"),
            "\t\u00e9\u4e2d");
  EXPECT_EQ(normal(R"({"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":false,
      "strip_accents":true,"lowercase":false})",
                   "\u00c9\u4e2d"),
            "E\u4e2d");
  // Accents go with capitals unless the file says so.
  EXPECT_EQ(normal(R"({"type":"BertNormalizer","lowercase":false})", "\u00c9"), "\u00c9");
}

TEST(StripAccents, TakesMarksAndNothingElse) {
  constexpr std::string_view kStrip = R"({"type":"StripAccents"})";
  EXPECT_EQ(normal(kStrip, "e\u0301o\u0308\u0323"), "eo");
  EXPECT_EQ(normal(kStrip, "\u00e9"), "\u00e9");
}

TEST(Nmt, RemovesControlsAndMakesSpaces) {
  constexpr std::string_view kNmt = R"({"type":"Nmt"})";
  EXPECT_EQ(normal(kNmt,
                   "a\x01\x0b"
                   "b\x7f\u009f"),
            "ab");
  EXPECT_EQ(normal(kNmt, "a\tb\u200bc\u2581d\ufeff"), "a b c d ");
  EXPECT_EQ(normal(kNmt, "\u00a0"), "\u00a0");
}

TEST(ByteLevelNormalizer, SpellsEveryByte) {
  EXPECT_EQ(normal(R"({"type":"ByteLevel"})", "a \u00e9\n"), "a\u0120\u00c3\u00a9\u010a");
}

// The sets in one line each: how many characters they hold, as counted in the package.
TEST(PackageUnicode, SetsHaveTheSizesOfThePackage) {
  int control = 0, punctuation = 0, marks = 0;
  for (CodePoint c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    control += is_bert_control(c);
    punctuation += is_bert_punctuation(c);
    marks += is_combining_mark(c);
  }
  EXPECT_EQ(control, 137680);
  EXPECT_EQ(punctuation, 726);
  EXPECT_EQ(marks, 2097);
}

TEST(PackageUnicode, LowersLettersThatCameLater) {
  EXPECT_EQ(lowercased("\u1c89\ua7cb\U00010D50\U00016EA0"), "\u1c8a\u0264\U00010D70\U00016EBB");
  EXPECT_EQ(normalised("\u32ff", NormalForm::Nfkc), "\u32ff");
  EXPECT_EQ(normalised("\u337e", NormalForm::Nfkc), "\u660e\u6cbb");
}

}  // namespace
}  // namespace tenon::text
