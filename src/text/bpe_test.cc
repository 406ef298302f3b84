#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "base/error.h"
#include "text/bpe_merge.h"
#include "text/tokenizer_test_support.h"

namespace tenon::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string message_of(const TestTokenizer& tokenizer) {
  try {
    tokenizer.make();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// The definition: again and again the lowest rank, at its leftmost place.
Ids merged_by_definition(const MergeTable& table, Ids slots) {
  while (true) {
    MergeTable::Merge best;
    size_t place = 0;
    for (size_t i = 0; i + 1 < slots.size(); ++i) {
      MergeTable::Merge merge = table.find(slots[i], slots[i + 1]);
      if (merge.rank >= 0 && (best.rank < 0 || merge.rank < best.rank)) best = merge, place = i;
    }
    if (best.rank < 0) return slots;
    slots[place] = best.merged;
    slots.erase(slots.begin() + static_cast<int64_t>(place) + 1);
  }
}

// Random rules over a few letters, in an order that no training would give.
MergeTable random_table(std::mt19937& rng, int letters) {
  std::vector<std::string> texts;
  for (int i = 0; i < letters; ++i) texts.push_back(std::string(1, static_cast<char>('a' + i)));
  std::vector<MergeTable::Rule> rules;
  for (int i = 0; i < 60; ++i) {
    auto left = static_cast<int32_t>(rng() % texts.size()),
         right = static_cast<int32_t>(rng() % texts.size());
    std::string joined = texts[left] + texts[right];
    auto found = std::find(texts.begin(), texts.end(), joined);
    rules.push_back({left, right, static_cast<int32_t>(found - texts.begin())});
    if (found == texts.end()) texts.push_back(joined);
  }
  std::shuffle(rules.begin(), rules.end(), rng);
  if (rng() % 2 == 0) return MergeTable(rules);
  std::vector<int32_t> ranks(rules.size());
  for (int32_t& rank : ranks) rank = static_cast<int32_t>(rng() % 20);  // shared ones
  return MergeTable(rules, ranks);
}

TEST(Merger, DoesWhatTheDefinitionSays) {
  std::mt19937 rng(7);
  for (int round = 0; round < 300; ++round) {
    int letters = 2 + static_cast<int>(rng() % 3);
    MergeTable table = random_table(rng, letters);
    Merger merger(table);
    // Above 128 symbols they are merged in stretches, and at once where stretches do not fit.
    for (size_t length : {0u, 1u, 2u, 5u, 30u, 127u, 128u, 129u, 400u, 1500u}) {
      if (length > 400 && round % 10 != 0) continue;
      Ids slots(length);
      for (int32_t& slot : slots) slot = static_cast<int32_t>(rng() % letters);
      Ids expected = merged_by_definition(table, slots);
      merger.merge(slots);
      ASSERT_EQ(slots, expected) << "round " << round << " length " << length;
    }
  }
}

TEST(Merger, TakesTheLastRankOfAPairThatComesTwice) {
  MergeTable table({{0, 1, 2}, {1, 1, 3}, {0, 1, 2}});
  EXPECT_EQ(table.find(0, 1).rank, 2);
  EXPECT_EQ(table.find(1, 0).rank, -1);
}

TEST(Bpe, ReadsMergesAsStringsAndAsPairs) {
  TestTokenizer strings, pairs;
  pairs.merges = R"([["a","b"],["ab","c"],["▁","a"]])";
  EXPECT_THAT(strings.make()->encode("abcab"), ElementsAre(5, 4));
  EXPECT_THAT(pairs.make()->encode("abcab"), ElementsAre(5, 4));
  EXPECT_EQ(strings.make()->serialise(), pairs.make()->serialise());
}

TEST(Bpe, LeavesUnknownCharactersOutWithoutUnk) {
  EXPECT_THAT(TestTokenizer().make()->encode("bxxa"), ElementsAre(2, 1));
  // What is left then stands side by side.
  EXPECT_THAT(TestTokenizer().make()->encode("axxb"), ElementsAre(4));
}

TEST(Bpe, GivesOneUnkForEachOrForARunOfUnknownCharacters) {
  TestTokenizer each, fused;
  each.model_fields = R"("unk_token":"<unk>",)";
  fused.model_fields = R"("unk_token":"<unk>","fuse_unk":true,)";
  EXPECT_THAT(each.make()->encode("xéa😀"), ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(fused.make()->encode("xéa😀"), ElementsAre(0, 1, 0));
}

TEST(Bpe, FallsBackToBytesOnlyWhereAllBytesHaveAToken) {
  TestTokenizer tokenizer;
  tokenizer.vocab = R"({"<unk>":0,"a":1,"<0xC3>":2,"<0xA9>":3,"<0xC2>":4})";
  tokenizer.merges = "[]";
  tokenizer.model_fields = R"("unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,)";
  EXPECT_THAT(tokenizer.make()->encode("é"), ElementsAre(2, 3));
  // C2 A3: one byte has no token.
  EXPECT_THAT(tokenizer.make()->encode("£a"), ElementsAre(0, 1));
  // The unknown character waits for the next piece of the vocabulary, also across bytes.
  EXPECT_THAT(tokenizer.make()->encode("£éa"), ElementsAre(2, 3, 0, 1));
}

TEST(Bpe, PrefixAndSuffixMarkThePlacesInAWord) {
  TestTokenizer tokenizer;
  tokenizer.vocab = R"({"<unk>":0,"a":1,"##b":2,"##b</w>":3,"ab":4,"ab</w>":5,"a</w>":6})";
  tokenizer.merges = R"(["a ##b","a ##b</w>"])";
  tokenizer.model_fields =
      R"("unk_token":"<unk>","continuing_subword_prefix":"##","end_of_word_suffix":"</w>",)";
  tokenizer.pre_tokenizer = R"({"type":"WhitespaceSplit"})";
  auto made = tokenizer.make();
  EXPECT_THAT(made->encode("ab abb a"), ElementsAre(5, 4, 3, 6));
  EXPECT_THAT(made->encode("ba"), ElementsAre(0, 0));
  EXPECT_EQ(Tokenizer::from_serialised(made->serialise())->encode("ab abb a"),
            made->encode("ab abb a"));
}

// As tiktoken: of two ways to spell one piece neither comes first, only the place decides.
TEST(Bpe, MergesByIdTakeTheLeftmostOfEqualIds) {
  TestTokenizer tokenizer;
  tokenizer.vocab = R"({"a":0,"b":1,"aa":2,"aaa":3})";
  tokenizer.merges = "[]";
  tokenizer.model_fields = R"("merge_by_id":true,)";
  auto made = tokenizer.make();
  EXPECT_THAT(made->encode("aaaa"), ElementsAre(2, 2));
  EXPECT_THAT(made->encode("aaa"), ElementsAre(3));
  EXPECT_THAT(made->encode("baaab"), ElementsAre(1, 3, 1));
  EXPECT_EQ(Tokenizer::from_serialised(made->serialise())->encode("aaaba"), made->encode("aaaba"));
}

TEST(Bpe, IgnoreMergesTakesAWholePieceFirst) {
  TestTokenizer tokenizer;
  tokenizer.vocab = R"({"a":0,"b":1,"c":2,"ab":3,"bca":4})";
  tokenizer.merges = R"(["a b"])";
  EXPECT_THAT(tokenizer.make()->encode("bca"), ElementsAre(1, 2, 0));
  tokenizer.model_fields = R"("ignore_merges":true,)";
  EXPECT_THAT(tokenizer.make()->encode("bca"), ElementsAre(4));
  EXPECT_THAT(tokenizer.make()->encode("bcaab"), ElementsAre(1, 2, 0, 3));
}

TEST(Bpe, IdsMayHaveGapsAndMemoryDoesNotFollowThem) {
  TestTokenizer tokenizer;
  tokenizer.vocab = R"({"a":5,"b":16777216,"ab":70000})";
  tokenizer.merges = R"(["a b"])";
  auto made = tokenizer.make();
  EXPECT_THAT(made->encode("abba"), ElementsAre(70000, 16777216, 5));
  EXPECT_EQ(made->vocabulary_size(), 3);
  EXPECT_EQ(made->largest_id(), 16777216);
  EXPECT_EQ(made->token_text(70000), "ab");
  EXPECT_EQ(made->token_text(6), std::nullopt);
  EXPECT_EQ(made->decode(Ids{5, 6, -1, 70000, INT32_MAX}), "aab");
}

TEST(Bpe, NamesEveryProblemOfTheModelAtOnce) {
  TestTokenizer tokenizer;
  tokenizer.vocab = R"({"a":0,"b":0,"c":-1,"d":16777217,"e":"x"})";
  tokenizer.merges = R"(["a z","ab","a b c",["a"]])";
  tokenizer.model_fields = R"("dropout":0.1,)";
  std::string message = message_of(tokenizer);
  for (std::string_view part :
       {"dropout", "two tokens have one id", "got -1", "16777217", "model.vocab.e",
        "model.merges[0]", "got z", "model.merges[1]", "model.merges[2]", "model.merges[3]"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
}

TEST(Bpe, RefusesAMergeWhoseResultIsNoPiece) {
  TestTokenizer tokenizer;
  tokenizer.merges = R"(["b c"])";
  EXPECT_THAT(message_of(tokenizer),
              HasSubstr("merge names a piece that the vocabulary lacks; got bc"));
}

TEST(Bpe, ManyProblemsAreCounted) {
  TestTokenizer tokenizer;
  tokenizer.merges = "[";
  for (int i = 0; i < 1000; ++i) tokenizer.merges += R"("x y",)";
  tokenizer.merges += R"("a b"])";
  std::string message = message_of(tokenizer);
  EXPECT_THAT(message, HasSubstr("984 further problems"));
  EXPECT_LT(message.size(), 4000u);
}

TEST(Bpe, RefusesOtherModelsByName) {
  TestTokenizer tokenizer;
  std::string json = tokenizer.json();
  for (std::string kind : {"Morpheme", "bpe"}) {
    std::string other = json;
    other.replace(other.find("\"BPE\""), 5, "\"" + kind + "\"");
    try {
      Tokenizer::from_json(other);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::Unsupported);
      EXPECT_THAT(error.what(), HasSubstr(kind));
      EXPECT_THAT(error.what(), HasSubstr("accepted BPE, WordPiece, Unigram or WordLevel"));
    }
  }
}

TEST(Bpe, AnUnkTokenThatIsNoPieceOnlyMattersWhereItIsNeeded) {
  TestTokenizer tokenizer;
  tokenizer.model_fields = R"("unk_token":"[UNK]",)";
  auto made = tokenizer.make();
  EXPECT_THAT(made->encode("ab"), ElementsAre(4));
  EXPECT_THROW(made->encode("z"), Error);
}

}  // namespace
}  // namespace tenon::text
