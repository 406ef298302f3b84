#include "text/decoders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "base/text.h"
#include "text/incremental_decoder.h"
#include "text/tokenizer_test_support.h"

namespace tenon::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string decoded(std::string_view json_text, const std::vector<std::string>& tokens,
                    bool eager = false) {
  data::Json json = data::parse_json(json_text);
  auto decoder = make_decoder({json, "decoder"});
  std::string out;
  auto stage = decoder->make_stage(make_text_sink(out), {.eager = eager});
  for (const std::string& token : tokens) stage->push(token, true);
  stage->finish();
  return out;
}

constexpr std::string_view kLlama = R"({"type":"Sequence","decoders":[
    {"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},
    {"type":"Strip","content":" ","start":1,"stop":0}]})";

TEST(Decoders, ReplacementsThatMultiplyATokenAreRefused) {
  std::string replace =
      R"({"type":"Replace","pattern":{"String":"a"},"content":")" + std::string(500, 'a') + "\"}";
  std::string json = R"({"type":"Sequence","decoders":[)" + replace + "," + replace + "]}";
  EXPECT_THROW(decoded(json, {"a"}), Error);
}

TEST(Decoders, NoneJoinsBySpaces) {
  EXPECT_EQ(decoded("null", {"a", "b", "", "c"}), "a b  c");
}

TEST(Decoders, ByteLevel) {
  EXPECT_EQ(decoded(R"({"type":"ByteLevel"})", {"Hi", "ĠÃ", "©"}), "Hi é");
  EXPECT_EQ(decoded(R"({"type":"ByteLevel"})", {"Ã", "x"}), "\uFFFDx");
  // A token that is not spelled in bytes is taken as it is.
  EXPECT_EQ(decoded(R"({"type":"ByteLevel"})", {"中 b", "Ġ"}), "中 b ");
}

TEST(Decoders, Metaspace) {
  constexpr std::string_view kAlways =
      R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"always"})";
  EXPECT_EQ(decoded(kAlways, {"▁Hi", "▁you", "▁▁x"}), "Hi you  x");
  EXPECT_EQ(decoded(kAlways, {"▁▁a▁b", "▁c"}),
            "ab c");  // all of the first token's, as Hugging Face does
  EXPECT_EQ(
      decoded(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never"})", {"▁a", "▁b"}),
      " a b");
}

TEST(Decoders, Llama) {
  EXPECT_EQ(decoded(kLlama, {"▁Hi", "▁there", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "!"}),
            "Hi there😀!");
  EXPECT_EQ(decoded(kLlama, {"▁▁a"}), " a");
  EXPECT_EQ(decoded(kLlama, {"a", "▁b"}), "a b");
  EXPECT_EQ(decoded(kLlama, {"<0x20>", "a"}), "a");
  // One bad byte replaces its whole run, byte by byte.
  EXPECT_EQ(decoded(kLlama, {"<0x41>", "<0xC3>", "a"}), "\uFFFD\uFFFDa");
  EXPECT_EQ(decoded(kLlama, {"<0x41>", "<0xC3>", "a"}, true), "A\uFFFDa");
  EXPECT_EQ(decoded(kLlama, {"<0xZ1>", "<0x1>"}), "<0xZ1><0x1>");
}

TEST(Decoders, StripWorksOnEachToken) {
  constexpr std::string_view kStrip = R"({"type":"Strip","content":"_","start":1,"stop":2})";
  EXPECT_EQ(decoded(kStrip, {"__a___", "b_", "_"}), "_a_b");
}

TEST(Decoders, StepsThatNeedWholeTokensGetThem) {
  EXPECT_EQ(decoded(R"({"type":"Sequence","decoders":[{"type":"Fuse"},
      {"type":"Replace","pattern":{"String":"ab"},"content":"X"}]})",
                    {"xa", "b", "a", "b"}, true),
            "xXX");
  EXPECT_EQ(decoded(R"({"type":"Sequence","decoders":[{"type":"Fuse"},
      {"type":"Strip","content":" ","start":0,"stop":1}]})",
                    {"a ", "b ", " "}, true),
            "a b ");
}

TEST(Decoders, AreRefusedByName) {
  try {
    decoded(R"({"type":"Strange"})", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    EXPECT_THAT(error.what(), HasSubstr("got Strange"));
  }
}

TestTokenizer byte_level() {
  TestTokenizer tokenizer;
  tokenizer.vocab = R"({"H":0,"Ġ":1,"ð":2,"Ł":3,"ĺ":4,"Ģ":5,"Ã":6,"©":7})";
  tokenizer.merges = "[]";
  tokenizer.decoder = R"({"type":"ByteLevel"})";
  return tokenizer;
}

TEST(IncrementalDecoder, NeverGivesHalfACharacter) {
  auto tokenizer = byte_level().make();
  IncrementalDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(0), "H");
  EXPECT_EQ(decoder.push(2), "");
  EXPECT_EQ(decoder.push(3), "");
  EXPECT_EQ(decoder.push(4), "");
  EXPECT_EQ(decoder.push(5), "😀");
  EXPECT_EQ(decoder.push(6), "");
  EXPECT_EQ(decoder.push(0), "\uFFFDH");
  EXPECT_EQ(decoder.push(2), "");
  EXPECT_EQ(decoder.push(3), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
}

TEST(IncrementalDecoder, SurvivesAMove) {
  auto tokenizer = byte_level().make();
  IncrementalDecoder first(tokenizer);
  EXPECT_EQ(first.push(6), "");
  IncrementalDecoder second = std::move(first);
  tokenizer.reset();
  EXPECT_EQ(second.push(7), "é");
}

TEST(IncrementalDecoder, StripsTheLeadingSpaceOfLlamaOnlyAtTheStart) {
  TestTokenizer parts;
  parts.decoder = kLlama;
  parts.added = R"([{"id":100,"content":"</s>","special":true}])";
  auto tokenizer = parts.make();
  IncrementalDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push(100), "");
  EXPECT_EQ(decoder.push(7), "a");
  EXPECT_EQ(decoder.push(7), " a");
  EXPECT_EQ(decoder.finish(), "");
  IncrementalDecoder shown(tokenizer, false);
  EXPECT_EQ(shown.push(100), "</s>");
  EXPECT_EQ(shown.push(7), " a");
}

// Any ids at all: what is streamed is always valid UTF-8, and for byte-level equal to decode().
TEST(IncrementalDecoder, EqualsDecodeForAnyIds) {
  auto tokenizer = byte_level().make();
  std::mt19937 rng(5);
  for (int round = 0; round < 5000; ++round) {
    Ids ids(rng() % 12);
    for (int32_t& id : ids) id = static_cast<int32_t>(rng() % 9);
    IncrementalDecoder decoder(tokenizer);
    std::string out;
    for (int32_t id : ids) {
      std::string more = decoder.push(id);
      ASSERT_TRUE(is_valid_utf8(more));
      out += more;
    }
    ASSERT_EQ(out + decoder.finish(), tokenizer->decode(ids));
  }
}

}  // namespace
}  // namespace tenon::text
