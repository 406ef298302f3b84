#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "text/tokenizer_test_support.h"

namespace tenon::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string message_of(std::string_view json) {
  try {
    Tokenizer::from_json(json);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TestTokenizer with_added(std::string_view tokens) {
  TestTokenizer tokenizer;
  tokenizer.model_fields = R"("unk_token":"<unk>",)";
  tokenizer.added = "[" + std::string(tokens) + "]";
  return tokenizer;
}

TEST(Tokenizer, FindsTheLongestAddedToken) {
  auto tokenizer =
      with_added(
          R"({"id":20,"content":"<x","special":true},{"id":21,"content":"<x>","special":true},
                                 {"id":22,"content":"<x><y>","special":true})")
          .make();
  EXPECT_THAT(tokenizer->encode("a<xb"), ElementsAre(1, 20, 2));
  EXPECT_THAT(tokenizer->encode("a<x>b"), ElementsAre(1, 21, 2));
  EXPECT_THAT(tokenizer->encode("<x><y><x><"), ElementsAre(22, 21, 0));
}

TEST(Tokenizer, UserTextCannotForgeASpecialToken) {
  auto tokenizer = with_added(R"({"id":20,"content":"<s>","special":true},
                                 {"id":21,"content":"<t>","special":false})")
                       .make();
  EXPECT_THAT(tokenizer->encode("a<s><t>"), ElementsAre(1, 20, 21));
  EXPECT_THAT(tokenizer->encode("a<s><t>", {.parse_special = false}), ElementsAre(1, 0, 0, 0, 21));
}

TEST(Tokenizer, AddedTokensMayTakeTheSpaceAroundThem) {
  auto tokenizer = with_added(R"({"id":20,"content":"<m>","lstrip":true,"special":true},
                                 {"id":21,"content":"<n>","rstrip":true,"special":true})")
                       .make();
  EXPECT_THAT(tokenizer->encode("a \n<m>b"), ElementsAre(1, 20, 2));
  EXPECT_THAT(tokenizer->encode("a<n> \u3000b"), ElementsAre(1, 21, 2));
  EXPECT_THAT(tokenizer->encode("a<n>  <m>b"), ElementsAre(1, 21, 20, 2));
}

TEST(Tokenizer, SingleWordTokensStandAlone) {
  auto tokenizer =
      with_added(R"({"id":20,"content":"bc","single_word":true,"special":false})").make();
  EXPECT_THAT(tokenizer->encode("bc"), ElementsAre(20));
  EXPECT_THAT(tokenizer->encode("abc"), ElementsAre(5));
  EXPECT_THAT(tokenizer->encode("bcé"), ElementsAre(2, 3, 0));
  EXPECT_THAT(tokenizer->encode("a.bc.a"), ElementsAre(1, 0, 20, 0, 1));
}

TEST(Tokenizer, NormalizedTokensAreFoundInTheNormalisedText) {
  TestTokenizer parts = with_added(
      R"({"id":20,"content":"AB","normalized":true},{"id":21,"content":"C","normalized":false})");
  parts.normalizer = R"({"type":"Lowercase"})";
  auto tokenizer = parts.make();
  EXPECT_THAT(tokenizer->encode("aB"), ElementsAre(20));
  EXPECT_THAT(tokenizer->encode("cC"), ElementsAre(3, 21));
  // As the package does since 0.23: what was looked for is what is shown.
  EXPECT_EQ(tokenizer->decode(Ids{20, 21}), "abC");
  EXPECT_EQ(tokenizer->token_text(20), "AB");
}

TEST(Tokenizer, MetaspaceFirstLooksAtTheWholeText) {
  TestTokenizer parts = with_added(R"({"id":20,"content":"<s>","special":true})");
  parts.pre_tokenizer =
      R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false})";
  auto tokenizer = parts.make();
  EXPECT_EQ(pieces_of(*tokenizer, "ab<s>ab"), "▁|ab|<s>|ab");
  EXPECT_EQ(pieces_of(*tokenizer, "<s>ab"), "<s>|ab");
}

TEST(Tokenizer, TheTemplateIsAnOption) {
  TestTokenizer parts;
  parts.post_processor = R"({"type":"BertProcessing","cls":["a",1],"sep":["b",2]})";
  auto tokenizer = parts.make();
  EXPECT_THAT(tokenizer->encode("c"), ElementsAre(1, 3, 2));
  EXPECT_THAT(tokenizer->encode("c", {.add_special_tokens = false}), ElementsAre(3));
  EXPECT_THAT(tokenizer->encode(""), ElementsAre(1, 2));
}

TEST(Tokenizer, LooksTokensUp) {
  TestTokenizer parts = with_added(
      R"({"id":20,"content":"<s>","special":true},{"id":1,"content":"a","special":false})");
  parts.names = {.bos = "<s>", .eos = "a", .pad = "missing", .unk = "<unk>"};
  auto tokenizer = parts.make();
  EXPECT_EQ(tokenizer->vocabulary_size(), 9);
  EXPECT_EQ(tokenizer->largest_id(), 20);
  EXPECT_EQ(tokenizer->token_id("<s>"), 20);
  EXPECT_EQ(tokenizer->token_id("▁a"), 7);
  EXPECT_EQ(tokenizer->token_id("zz"), std::nullopt);
  EXPECT_EQ(tokenizer->token_text(7), "▁a");
  EXPECT_EQ(tokenizer->token_text(-3), std::nullopt);
  EXPECT_TRUE(tokenizer->is_special(20));
  EXPECT_FALSE(tokenizer->is_special(1));
  EXPECT_EQ(tokenizer->bos(), 20);
  EXPECT_EQ(tokenizer->eos(), 1);
  EXPECT_EQ(tokenizer->pad(), std::nullopt);
  EXPECT_EQ(tokenizer->unk(), 0);
}

TEST(Tokenizer, DecodeSkipsSpecialTokensIfAsked) {
  auto tokenizer =
      with_added(
          R"({"id":20,"content":"<s>","special":true},{"id":21,"content":"<t>","special":false})")
          .make();
  EXPECT_EQ(tokenizer->decode(Ids{20, 1, 21, 2}), "a<t>b");
  EXPECT_EQ(tokenizer->decode(Ids{20, 1, 21, 2}, false), "<s>a<t>b");
  EXPECT_EQ(tokenizer->decode(Ids{}), "");
}

TEST(Tokenizer, SerialisesToTheSameBytesWhateverTheOrderOfTheFile) {
  TestTokenizer parts =
      with_added(R"({"id":20,"content":"<s>","special":true},{"id":21,"content":"<t>"})");
  TestTokenizer other =
      with_added(R"({"id":21,"content":"<t>"},{"special":true,"id":20,"content":"<s>"})");
  other.vocab = R"({"▁a":7,"a":1,"b":2,"c":3,"ab":4,"<unk>":0,"abc":5,"▁":6})";
  parts.names.eos = other.names.eos = "<s>";
  std::string bytes = parts.make()->serialise();
  EXPECT_EQ(bytes, other.make()->serialise());
  auto again = Tokenizer::from_serialised(bytes);
  EXPECT_EQ(again->serialise(), bytes);
  EXPECT_EQ(again->eos(), 20);
  EXPECT_THAT(again->encode("abc<s>x<t>"), ElementsAre(5, 20, 0, 21));
}

TEST(Tokenizer, RefusesSerialisedBytesOfAnotherVersion) {
  std::string bytes = TestTokenizer().make()->serialise();
  std::string newer = bytes;
  newer.replace(newer.find("\"tenon_tokenizer\": 1"), 20, "\"tenon_tokenizer\": 2");
  try {
    Tokenizer::from_serialised(newer);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::WrongPlan);
  }
  EXPECT_THROW(Tokenizer::from_serialised(bytes.substr(0, bytes.size() / 2)), Error);
  EXPECT_THROW(Tokenizer::from_serialised("{}"), Error);
}

TEST(Tokenizer, NamesTheProblemsOfAllComponentsAtOnce) {
  TestTokenizer parts =
      with_added(R"({"id":20,"content":"<s>"},{"id":20,"content":"<t>"},{"id":3,"content":"<u>"},
                                      {"id":9,"content":"ab"})");
  parts.normalizer = R"({"type":"U"})";
  parts.pre_tokenizer = R"({"type":"V"})";
  parts.post_processor = R"({"type":"X"})";
  parts.decoder = R"({"type":"W"})";
  std::string message = message_of(parts.json());
  for (std::string_view part :
       {"got U", "got V", "got X", "got W", "appears twice", "gives this id to another token",
        "has this token with another id"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
}

TEST(Tokenizer, RefusesWhatIsNoTokenizer) {
  EXPECT_THAT(message_of("[]"), HasSubstr("tokenizer.json"));
  EXPECT_THAT(message_of("{"), HasSubstr("not valid JSON"));
  EXPECT_THAT(message_of("{}"), HasSubstr("model"));
  EXPECT_THAT(message_of(R"({"version":"2.0","model":{"type":"BPE","vocab":{},"merges":[]}})"),
              HasSubstr("2.0"));
  EXPECT_THAT(message_of(R"({"model":{"type":"BPE","vocab":[],"merges":{}}})"),
              HasSubstr("model.vocab"));
  EXPECT_THAT(
      message_of(R"({"added_tokens":[{"id":"x","content":"a"}],"model":{"vocab":{},"merges":[]}})"),
      HasSubstr("added_tokens[0].id"));
}

TEST(Tokenizer, IllFormedTextCountsAsReplacementCharacters) {
  TestTokenizer parts;
  parts.vocab = R"({"a":1,"b":2,"\ufffd":3})";
  parts.merges = "[]";
  parts.added = R"([{"id":9,"content":"<s>","special":true}])";
  auto tokenizer = parts.make();
  EXPECT_THAT(tokenizer->encode("a\xFF"), ElementsAre(1, 3));
  EXPECT_THAT(tokenizer->encode("\xE4\xB8"
                                "b\xED\xA0\x80"),
              ElementsAre(3, 2, 3, 3, 3));
  // Ranges that users wrote stay with their text, and no character spans their ends.
  std::string text = "\xFF\xFF<s>\xC3<s>\xA9";
  ByteRange user{0, 6};
  EXPECT_THAT(tokenizer->encode(text, {.plain = std::span(&user, 1)}), ElementsAre(3, 3, 3, 9, 3));
  user = {2, 9};
  EXPECT_THAT(tokenizer->encode(text, {.plain = std::span(&user, 1)}), ElementsAre(3, 3, 3, 3));
  EXPECT_THAT(tokenizer->encode(std::string_view("\0", 1)), ElementsAre());
}

TEST(Tokenizer, ManyThreadsMayUseOne) {
  TestTokenizer parts;
  parts.pre_tokenizer = R"({"type":"Split","pattern":{"Regex":"[abc]+|x"},"behavior":"Isolated"})";
  auto tokenizer = parts.make();
  Ids expected = tokenizer->encode("abcxabxab");
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) wrong[t] += tokenizer->encode("abcxabxab") != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ElementsAre(0, 0, 0, 0));
}

}  // namespace
}  // namespace tenon::text
