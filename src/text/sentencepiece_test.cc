#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "base/error.h"
#include "data/json.h"
#include "text/incremental_decoder.h"
#include "text/tokenizer_test_support.h"

namespace tenon::text {
namespace {

using data::Json;
using testing::ElementsAre;
using testing::HasSubstr;

// A tokenizer of SentencePiece's parts, as a model file gives them.
struct Parts {
  std::string kind = "bpe";
  Json::Array pieces = {piece("<unk>", 0, 2), piece("<c>", 0, 3)};
  Json normalizer = Json::Object{{"type", "SentencePiece"}, {"user_defined", Json::Array{}}};
  bool byte_fallback = false;

  static Json piece(std::string_view text, double score, int type = 1) {
    return Json::Array{text, score, type};
  }
  Parts& add(std::string_view text, double score, int type = 1) {
    pieces.push_back(piece(text, score, type));
    return *this;
  }
  std::shared_ptr<const Tokenizer> make() const {
    Json decoder = Json::Object{{"type", "SentencePiece"},
                                {"unk", "<unk>"},
                                {"unk_surface", " ?? "},
                                {"byte_fallback", byte_fallback}};
    for (std::string_view key : {"add_dummy_prefix", "remove_extra_whitespaces"}) {
      if (const Json* value = normalizer.find(key)) decoder.set(key, *value);
    }
    Json model = Json::Object{{"type", "SentencePiece"},
                              {"kind", kind},
                              {"byte_fallback", byte_fallback},
                              {"pieces", pieces}};
    Json whole = Json::Object{{"normalizer", normalizer}, {"decoder", decoder}, {"model", model}};
    return Tokenizer::from_json(whole.dump());
  }
};

// SentencePiece's own loop: of all neighbours that spell a piece, those of the highest score merge,
// the leftmost first.
std::vector<std::string> merged_by_definition(const std::map<std::string, double>& scores,
                                              std::vector<std::string> symbols) {
  while (true) {
    size_t best = symbols.size();
    double best_score = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      auto found = scores.find(symbols[i] + symbols[i + 1]);
      if (found == scores.end()) continue;
      if (best < symbols.size() && found->second <= best_score) continue;
      best = i;
      best_score = found->second;
    }
    if (best == symbols.size()) return symbols;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<int64_t>(best) + 1);
  }
}

TEST(SentencePieceBpe, DoesWhatTheDefinitionSays) {
  std::mt19937 rng(9);
  for (int round = 0; round < 400; ++round) {
    std::map<std::string, double> scores;
    Parts parts;
    parts.normalizer.set("add_dummy_prefix", false);
    for (int i = 0; i < 14; ++i) {
      std::string text(1 + rng() % 4, 'a');
      for (char& c : text) c = static_cast<char>('a' + rng() % 3);
      if (!scores.emplace(text, -static_cast<double>(rng() % 6)).second) continue;
      parts.add(text, scores[text]);
    }
    auto tokenizer = parts.make();
    std::string text(rng() % 80, 'a');
    for (char& c : text) c = static_cast<char>('a' + rng() % 3);
    std::vector<std::string> symbols;
    for (char c : text) symbols.emplace_back(1, c);
    std::string expected;
    bool unknown = false;
    for (const std::string& symbol : merged_by_definition(scores, symbols)) {
      bool known = scores.contains(symbol);
      if (known || !unknown) expected += known ? symbol + "|" : "<unk>|";
      unknown = !known;
    }
    std::string got = pieces_of(*tokenizer, text);
    ASSERT_EQ(got.empty() ? got : got + "|", expected) << text;
  }
}

TEST(SentencePieceBpe, UserDefinedPiecesAreNeverMergedOrCut) {
  Parts parts;
  parts.add("a", -1).add("aa", -2).add("xa", -3).add("x", -4).add("<a>", 0, 4);
  parts.normalizer.set("add_dummy_prefix", false);
  parts.normalizer.set("user_defined", Json::Array{"<a>"});
  auto tokenizer = parts.make();
  EXPECT_EQ(pieces_of(*tokenizer, "aa<a>axa"), "aa|<a>|a|xa");
  // Control pieces are not found in a text.
  EXPECT_EQ(pieces_of(*tokenizer, "<c>"), "<unk>");
}

TEST(SentencePieceBpe, CharactersWithoutAPieceCanBePartsOfOne) {
  Parts parts;
  parts.add("ab", -1);
  parts.normalizer.set("add_dummy_prefix", false);
  EXPECT_EQ(pieces_of(*parts.make(), "abba"), "ab|<unk>");
}

TEST(SentencePieceBpe, RefusesAnUnusedPieceThatMergesReach) {
  Parts parts;
  parts.add("a", -1).add("aa", -2, 5);
  EXPECT_THROW(parts.make(), Error);
  Parts single;  // a character stays what it is
  single.add("a", -1, 5);
  single.normalizer.set("add_dummy_prefix", false);
  EXPECT_THAT(single.make()->encode("a"), ElementsAre(2));
}

TEST(SentencePieceUnigram, UserDefinedPiecesWinAndUnusedOnesAreNotSpelled) {
  Parts parts;
  parts.kind = "unigram";
  parts.add("a", -1).add("b", -1).add("ab", -50, 4).add("ba", -0.5, 5);
  parts.normalizer.set("add_dummy_prefix", false);
  auto tokenizer = parts.make();
  EXPECT_EQ(pieces_of(*tokenizer, "abba"), "ab|b|a");
  EXPECT_EQ(pieces_of(*tokenizer, "axxb"), "a|<unk>|b");
}

TEST(SentencePieceModel, BytesStandForWhatHasNoPiece) {
  Parts parts;
  parts.byte_fallback = true;
  parts.add("a", -1);
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    parts.add(name, 0, 6);
  }
  for (const char* kind : {"bpe", "unigram"}) {
    parts.kind = kind;
    auto tokenizer = parts.make();
    Ids ids = tokenizer->encode("a\u00e9\u00e9");
    EXPECT_EQ(ids.size(), 3u + 1 + 4);  // the space before is no piece either
    EXPECT_EQ(tokenizer->decode(ids), "\u2581a\u00e9\u00e9");  // bytes stay what they are
    // Each ill-formed byte is one U+FFFD.
    EXPECT_EQ(tokenizer->decode(tokenizer->encode("\xE4\xB8")), "\u2581\uFFFD\uFFFD");
  }
  parts.pieces.pop_back();
  EXPECT_THROW(parts.make(), Error);
}

std::string normal(const Parts& parts, std::string_view text) {
  std::string out;
  auto tokenizer = parts.make();
  for (int32_t id : tokenizer->encode(text)) out += tokenizer->token_text(id).value();
  return out;
}

TEST(SentencePieceNormalizer, HandlesSpacesAsItsSettingsSay) {
  Parts parts;
  parts.add("a", -1).add("b", -1).add("\u2581", -1).add(" ", -1);
  EXPECT_EQ(normal(parts, "  a  b "), "\u2581a\u2581b");
  EXPECT_EQ(normal(parts, "   "), "");
  parts.normalizer.set("remove_extra_whitespaces", false);
  EXPECT_EQ(normal(parts, " a  b "), "\u2581\u2581a\u2581\u2581b\u2581");
  parts.normalizer.set("add_dummy_prefix", false);
  EXPECT_EQ(normal(parts, " a "), "\u2581a\u2581");
  parts.normalizer.set("escape_whitespaces", false);
  EXPECT_EQ(normal(parts, " a "), " a ");
  parts.normalizer.set("escape_whitespaces", true);
  parts.normalizer.set("add_dummy_prefix", true);
  parts.normalizer.set("whitespace_as_suffix", true);
  EXPECT_EQ(normal(parts, "a"), "a\u2581");
}

TEST(SentencePieceDecoder, TakesTheFirstSpaceBack) {
  Parts parts;
  parts.add("a", -1).add("\u2581", -1).add("\u2581b", -1);
  auto tokenizer = parts.make();
  EXPECT_EQ(tokenizer->decode(Ids{4, 2}),
            "b"
            "a");
  EXPECT_EQ(tokenizer->decode(Ids{3, 3, 4, 4}), "b b");  // all of them, as extra ones were dropped
  EXPECT_EQ(tokenizer->decode(Ids{2, 0, 4}), "a ??  b");
  parts.normalizer.set("remove_extra_whitespaces", false);
  EXPECT_EQ(parts.make()->decode(Ids{3, 3, 4}), "  b");
  parts.normalizer.set("add_dummy_prefix", false);
  EXPECT_EQ(parts.make()->decode(Ids{3, 2}), " a");
}

TEST(SentencePieceModel, IsRefusedByName) {
  Parts parts;
  parts.kind = "word";
  try {
    parts.make();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    EXPECT_THAT(error.what(), HasSubstr("got word"));
  }
}

}  // namespace
}  // namespace tenon::text
