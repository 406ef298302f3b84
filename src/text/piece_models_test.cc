// Models that are no byte-pair encoding: WordPiece, WordLevel and Unigram.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/error.h"
#include "text/tokenizer_test_support.h"
#include "text/unigram_search.h"

namespace tenon::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::shared_ptr<const Tokenizer> with_model(const std::string& model,
                                            const std::string& pre = "null") {
  return Tokenizer::from_json(R"({"version":"1.0","pre_tokenizer":)" + pre +
                              R"(,"decoder":{"type":"Fuse"},"model":)" + model + "}");
}

std::string message_of(const std::string& model) {
  try {
    with_model(model);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

constexpr const char* kWordPiece = R"({"type":"WordPiece","unk_token":"[UNK]",
    "continuing_subword_prefix":"##","max_input_chars_per_word":6,
    "vocab":{"[UNK]":0,"un":1,"##aff":2,"##able":3,"##a":4,"u":5,"##n":6,"\u00e9":7,"##ab":8}})";

TEST(WordPiece, TakesTheLongestPiecesFromTheLeft) {
  auto tokenizer = with_model(kWordPiece, R"({"type":"WhitespaceSplit"})");
  EXPECT_THAT(tokenizer->encode("unable un uaff"), ElementsAre(1, 3, 1, 5, 2));
  EXPECT_THAT(tokenizer->encode("\u00e9n"), ElementsAre(7, 6));
  // Greedy: "##able" is not found again after "##ab" led nowhere.
  EXPECT_THAT(tokenizer->encode("unabx"), ElementsAre(0));
}

TEST(WordPiece, AWordThatCannotBeCutOrIsTooLongIsUnknownWhole) {
  auto tokenizer = with_model(kWordPiece, R"({"type":"WhitespaceSplit"})");
  EXPECT_THAT(tokenizer->encode("unz un"), ElementsAre(0, 1));
  EXPECT_THAT(tokenizer->encode("unaaaa unaaaaa"), ElementsAre(1, 4, 4, 4, 4, 0));
  EXPECT_THAT(tokenizer->encode(""), ElementsAre());
}

TEST(WordPiece, AMissingUnkTokenOnlyMattersWhereItIsNeeded) {
  auto tokenizer = with_model(R"({"type":"WordPiece","vocab":{"a":0}})");
  EXPECT_THAT(tokenizer->encode("a"), ElementsAre(0));
  EXPECT_THROW(tokenizer->encode("b"), Error);
}

TEST(WordPiece, SurvivesSerialising) {
  auto tokenizer = with_model(kWordPiece);
  auto again = Tokenizer::from_serialised(tokenizer->serialise());
  EXPECT_EQ(again->serialise(), tokenizer->serialise());
  EXPECT_EQ(again->encode("unable"), tokenizer->encode("unable"));
  EXPECT_EQ(again->encode("unaaaaa"), tokenizer->encode("unaaaaa"));
}

TEST(WordLevel, AWordIsAToken) {
  auto tokenizer =
      with_model(R"({"type":"WordLevel","unk_token":"<unk>","vocab":{"<unk>":3,"a":1,"bc":2}})",
                 R"({"type":"WhitespaceSplit"})");
  EXPECT_THAT(tokenizer->encode("a bc b"), ElementsAre(1, 2, 3));
  EXPECT_THAT(Tokenizer::from_serialised(tokenizer->serialise())->encode("bc"), ElementsAre(2));
  auto without = with_model(R"({"type":"WordLevel","vocab":{"a":1}})");
  EXPECT_THROW(without->encode("b"), Error);
}

// The definition: the best sum over all ways to cut the text.
template <class Score>
double best_sum(const std::vector<std::pair<std::string, double>>& pieces, std::string_view text,
                Score unk_score, std::vector<double>& sums) {
  if (text.empty()) return 0;
  double& known = sums[text.size()];
  if (!std::isnan(known)) return known;
  double best = -1e9;
  bool single = false;
  for (const auto& [piece, score] : pieces) {
    if (!text.starts_with(piece)) continue;
    single = single || piece.size() == 1;
    best = std::max(best, score + best_sum(pieces, text.substr(piece.size()), unk_score, sums));
  }
  if (!single) best = std::max(best, unk_score + best_sum(pieces, text.substr(1), unk_score, sums));
  return known = best;
}

TEST(UnigramSearch, FindsTheBestSum) {
  std::mt19937 rng(4);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::pair<std::string, double>> pieces;
    std::vector<ByteTrie::Entry> entries;
    std::vector<double> scores;
    for (int i = 0; i < 12; ++i) {
      std::string text(1 + rng() % 4, 'a');
      for (char& c : text) c = static_cast<char>('a' + rng() % 3);
      pieces.emplace_back(text, -static_cast<double>(rng() % 1000) / 64);
    }
    for (auto& piece : pieces) {  // equal texts: the last one counts
      for (const auto& other : pieces) {
        if (other.first == piece.first) piece.second = other.second;
      }
    }
    for (size_t i = 0; i < pieces.size(); ++i) {
      entries.emplace_back(pieces[i].first, static_cast<int32_t>(i));
      scores.push_back(pieces[i].second);
    }
    ByteTrie trie(std::move(entries));
    UnigramSearch<double> search(trie, scores, -1, -25.0);
    std::string text(rng() % 14, 'a');
    for (char& c : text) c = static_cast<char>('a' + rng() % 4);
    double sum = 0;
    std::string joined;
    for (const auto& part : search.run(text)) {
      joined += text.substr(part.begin, part.end - part.begin);
      sum += part.slot < 0 ? -25.0 : scores[part.slot];
    }
    EXPECT_EQ(joined, text);
    std::vector<double> sums(text.size() + 1, std::nan(""));
    EXPECT_DOUBLE_EQ(sum, best_sum(pieces, text, -25.0, sums));
  }
}

constexpr const char* kUnigram = R"({"type":"Unigram","unk_id":0,"vocab":
    [["<unk>",0.0],["a",-1.0],["b",-1.0],["ab",-1.5],["abc",-9.0],["\u2581",-2.0]]})";

TEST(Unigram, JoinsUnknownNeighboursToOneToken) {
  auto tokenizer = with_model(kUnigram);
  EXPECT_THAT(tokenizer->encode("abab"), ElementsAre(3, 3));
  EXPECT_THAT(tokenizer->encode("axyb"), ElementsAre(1, 0, 2));
  EXPECT_THAT(tokenizer->encode("\u4e2d\u6587"), ElementsAre(0));
  EXPECT_THAT(tokenizer->encode(""), ElementsAre());
  // A known piece with a low score, against a known and an unknown one.
  EXPECT_THAT(tokenizer->encode("abc"), ElementsAre(4));
}

TEST(Unigram, TheTextOfUnkItselfIsUnknown) {
  auto tokenizer = with_model(kUnigram);
  EXPECT_THAT(tokenizer->encode("<unk>x"), ElementsAre(0));
}

TEST(Unigram, FallsBackToBytesWhereAllHaveAToken) {
  auto tokenizer = with_model(R"({"type":"Unigram","unk_id":0,"byte_fallback":true,"vocab":
      [["<unk>",0],["a",-1],["<0xC3>",-2],["<0xA9>",-2],["<0xC2>",-2]]})");
  EXPECT_THAT(tokenizer->encode("a\u00e9"), ElementsAre(1, 2, 3));
  EXPECT_THAT(tokenizer->encode("a\u00a3"), ElementsAre(1, 0));
  EXPECT_THAT(Tokenizer::from_serialised(tokenizer->serialise())->encode("\u00e9"),
              ElementsAre(2, 3));
}

TEST(Unigram, WithoutUnkIdUnknownTextIsAnError) {
  auto tokenizer = with_model(R"({"type":"Unigram","unk_id":null,"vocab":[["a",-1]]})");
  EXPECT_THAT(tokenizer->encode("aa"), ElementsAre(0, 0));
  EXPECT_THROW(tokenizer->encode("b"), Error);
}

TEST(Unigram, NamesEveryProblemAtOnce) {
  std::string message = message_of(R"({"type":"Unigram","unk_id":7,"vocab":
      [["a",-1],["b"],["c","x"],["d",1e300],[5,-1],"e"]})");
  for (std::string_view part : {"model.vocab[1]", "model.vocab[2][1]", "score is out of range",
                                "model.vocab[4][0]", "model.vocab[5]", "unk_id"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
  EXPECT_THAT(message_of(R"({"type":"Unigram","vocab":[]})"), HasSubstr("vocabulary is empty"));
  EXPECT_THAT(message_of(R"({"type":"Unigram","vocab":[["a",0],["a",0]]})"),
              HasSubstr("token appears twice"));
  EXPECT_THAT(message_of(R"({"type":"Unigram","vocab":[[")" + std::string(513, 'a') + R"(",0]]})"),
              HasSubstr("piece is too long"));
}

}  // namespace
}  // namespace tenon::text
