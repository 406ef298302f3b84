#include "text/pre_tokenizers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/normalizers.h"
#include "text/post_processors.h"

namespace tenon::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> cut(std::string_view json_text, std::string_view text,
                             bool at_start = true) {
  data::Json json = data::parse_json(json_text);
  Pieces pieces{std::string(text), {{0, static_cast<uint32_t>(text.size()), -1, at_start}}};
  make_pre_tokenizer({json, "pre_tokenizer"})->apply(pieces);
  std::vector<std::string> parts;
  for (const Piece& piece : pieces.items) parts.emplace_back(pieces.view(piece));
  return parts;
}

std::string normal(std::string_view json_text, std::string_view text) {
  data::Json json = data::parse_json(json_text);
  NormalText result{std::string(text), true};
  make_normalizer({json, "normalizer"})->apply(result);
  return result.text + (result.keeps_start ? "" : " (start lost)");
}

std::vector<int32_t> processed(std::string_view json_text) {
  data::Json json = data::parse_json(json_text);
  std::vector<int32_t> ids{7, 8};
  make_post_processor({json, "post_processor"})->apply(ids);
  return ids;
}

template <class Make>
std::string refusal(Make&& make) {
  try {
    make();
  } catch (const Error& error) {
    return std::string(error_code_name(error.code())) + ": " + error.what();
  }
  return "accepted";
}

TEST(PreTokenizers, ByteLevel) {
  EXPECT_THAT(cut(R"({"type":"ByteLevel","add_prefix_space":false})", "Hi there é\n"),
              ElementsAre("Hi", "Ġthere", "ĠÃ©", "Ċ"));
  EXPECT_THAT(cut(R"({"type":"ByteLevel","add_prefix_space":true})", "Hi"), ElementsAre("ĠHi"));
  EXPECT_THAT(cut(R"({"type":"ByteLevel","add_prefix_space":true})", " Hi"), ElementsAre("ĠHi"));
  EXPECT_THAT(cut(R"({"type":"ByteLevel","add_prefix_space":false,"use_regex":false})", "Hi you"),
              ElementsAre("HiĠyou"));
}

TEST(PreTokenizers, Split) {
  EXPECT_THAT(
      cut(R"({"type":"Split","pattern":{"String":"-"},"behavior":"Removed","invert":false})",
          "a-b"),
      ElementsAre("a", "b"));
  EXPECT_THAT(
      cut(R"({"type":"Split","pattern":{"Regex":"[a-z]+"},"behavior":"Removed","invert":true})",
          "a1b22c"),
      ElementsAre("a", "b", "c"));
  EXPECT_THAT(cut(R"({"type":"Split","pattern":{"Regex":"\\d"},"behavior":"Contiguous"})", "a12b"),
              ElementsAre("a", "12", "b"));
}

TEST(PreTokenizers, Metaspace) {
  EXPECT_THAT(cut(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"always"})", "Hi  you"),
              ElementsAre("▁Hi", "▁", "▁you"));
  EXPECT_THAT(cut(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first"})", "Hi"),
              ElementsAre("▁Hi"));
  EXPECT_THAT(
      cut(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first"})", "Hi", false),
      ElementsAre("Hi"));
  EXPECT_THAT(
      cut(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":false})",
          "Hi you"),
      ElementsAre("Hi▁you"));
  EXPECT_THAT(cut(R"({"type":"Metaspace","replacement":"_","add_prefix_space":false})", " a"),
              ElementsAre("_a"));
}

TEST(PreTokenizers, MetaspaceFirstIsLostBehindACut) {
  EXPECT_THAT(cut(R"({"type":"Sequence","pretokenizers":[
      {"type":"Split","pattern":{"String":"-"},"behavior":"Removed"},
      {"type":"Metaspace","replacement":"▁","prepend_scheme":"first"}]})",
                  "a-b"),
              ElementsAre("▁a", "b"));
}

TEST(PreTokenizers, Digits) {
  EXPECT_THAT(cut(R"({"type":"Digits","individual_digits":true})", "a12½"),
              ElementsAre("a", "1", "2", "½"));
  EXPECT_THAT(cut(R"({"type":"Digits","individual_digits":false})", "a12½b"),
              ElementsAre("a", "12½", "b"));
}

TEST(PreTokenizers, AreRefusedByName) {
  std::string message = refusal(
      [] { cut(R"({"type":"Sequence","pretokenizers":[{"type":"StrangePreTokenizer"}]})", ""); });
  EXPECT_THAT(message, HasSubstr("unsupported"));
  EXPECT_THAT(message, HasSubstr("pre_tokenizer.pretokenizers[0].type"));
  EXPECT_THAT(message, HasSubstr("got StrangePreTokenizer"));
  EXPECT_THAT(message, HasSubstr("accepted Sequence, ByteLevel"));
  EXPECT_THAT(
      refusal([] { cut(R"({"type":"Split","pattern":{"Regex":"("},"behavior":"Removed"})", ""); }),
      HasSubstr("pre_tokenizer.pattern"));
  EXPECT_THAT(
      refusal([] { cut(R"({"type":"Split","pattern":{"String":"a"},"behavior":"No"})", ""); }),
      HasSubstr("no such split behavior"));
  EXPECT_THAT(refusal([] { cut(R"({"type":"Metaspace","replacement":"ab"})", ""); }),
              HasSubstr("not one character"));
  EXPECT_THAT(refusal([] { cut("{}", ""); }), HasSubstr("pre_tokenizer.type"));
}

TEST(Normalizers, DoWhatTheirNamesSay) {
  EXPECT_EQ(normal(R"({"type":"Prepend","prepend":"▁"})", "a"), "▁a");
  EXPECT_EQ(normal(R"({"type":"Prepend","prepend":"▁"})", ""), "");
  EXPECT_EQ(normal(R"({"type":"Replace","pattern":{"String":" "},"content":"▁"})", "a b"), "a▁b");
  EXPECT_EQ(normal(R"({"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "})", "a   b"),
            "a b");
  EXPECT_EQ(normal(R"({"type":"Replace","pattern":{"String":"x"},"content":""})", "xa"),
            "a (start lost)");
  EXPECT_EQ(normal(R"({"type":"NFKC"})", "ﬁ"), "fi");
  EXPECT_EQ(normal(R"({"type":"Lowercase"})", "ÀB"), "àb");
  EXPECT_EQ(normal(R"({"type":"Strip","strip_left":true,"strip_right":true})", "\u3000 a \n"),
            "a (start lost)");
  EXPECT_EQ(normal(R"({"type":"Strip","strip_left":false,"strip_right":true})", " a "), " a");
  EXPECT_EQ(normal(R"({"type":"Strip"})", " \t "), " (start lost)");
  EXPECT_EQ(
      normal(R"({"type":"Sequence","normalizers":[{"type":"NFD"},{"type":"Lowercase"}]})", "É"),
      "e\u0301");
  EXPECT_THAT(refusal([] { normal(R"({"type":"Strange"})", ""); }), HasSubstr("got Strange"));
}

// Found by fuzzing: three stages of a hostile file made megabytes of one letter, and minutes of
// work.
TEST(Normalizers, StagesThatMultiplyATextAreRefused) {
  std::string replace =
      R"({"type":"Replace","pattern":{"String":"a"},"content":")" + std::string(500, 'a') + "\"}";
  std::string twice = R"({"type":"Sequence","normalizers":[)" + replace + "," + replace + "]}";
  EXPECT_EQ(normal(replace, "a").size(), 500u);
  EXPECT_THAT(refusal([&] { normal(twice, "a"); }), HasSubstr("too long"));
  // What Unicode itself may do is taken: 33 bytes in place of three.
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "\uFDFA";
  std::string bytes = R"({"type":"Sequence","normalizers":[{"type":"NFKD"},{"type":"ByteLevel"}]})";
  EXPECT_GT(normal(bytes, text).size(), 18 * text.size());
}

TEST(Normalizers, LongOrDeepSequencesAreRefused) {
  std::string list;
  for (int i = 0; i < 65; ++i) list += R"({"type":"NFC"},)";
  list.pop_back();
  EXPECT_THAT(refusal([&] { normal(R"({"type":"Sequence","normalizers":[)" + list + "]}", ""); }),
              HasSubstr("too long or nested too deep"));
  std::string deep = R"({"type":"NFC"})";
  for (int i = 0; i < 5; ++i) deep = R"({"type":"Sequence","normalizers":[)" + deep + "]}";
  EXPECT_THAT(refusal([&] { normal(deep, ""); }), HasSubstr("too long or nested too deep"));
}

TEST(PostProcessors, Template) {
  EXPECT_THAT(processed(R"({"type":"TemplateProcessing",
      "single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
                {"SpecialToken":{"id":"</s>","type_id":0}}],
      "special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]},"</s>":{"id":"</s>","ids":[2,3],"tokens":["a","b"]}}})"),
              ElementsAre(1, 7, 8, 2, 3));
  EXPECT_THAT(processed(R"({"type":"RobertaProcessing","sep":["</s>",2],"cls":["<s>",0]})"),
              ElementsAre(0, 7, 8, 2));
  EXPECT_THAT(processed(R"({"type":"Sequence","processors":[{"type":"ByteLevel"},
      {"type":"BertProcessing","sep":["[SEP]",2],"cls":["[CLS]",1]}]})"),
              ElementsAre(1, 7, 8, 2));
}

TEST(PostProcessors, ThatMultiplyTheTokensAreRefused) {
  std::string text = R"({"Sequence":{"id":"A"}})", parts = text;
  for (int i = 1; i < 100; ++i) parts += "," + text;
  std::string many = R"({"type":"TemplateProcessing","single":[)" + parts + "]}";
  EXPECT_EQ(processed(many).size(), 200u);
  std::string twice = R"({"type":"Sequence","processors":[)" + many + "," + many + "]}";
  EXPECT_THAT(refusal([&] { processed(twice); }), HasSubstr("too long"));
}

TEST(PostProcessors, AreRefusedWithTheirPlace) {
  EXPECT_THAT(refusal([] {
                processed(R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}}],
      "special_tokens":{}})");
              }),
              HasSubstr("post_processor.special_tokens.x"));
  EXPECT_THAT(refusal([] {
                processed(R"({"type":"TemplateProcessing","single":[{"Sequence":{"id":"B"}}]})");
              }),
              HasSubstr("got B"));
  EXPECT_THAT(
      refusal([] { processed(R"({"type":"BertProcessing","sep":["x",-2],"cls":["y",1]})"); }),
      HasSubstr("token id out of range"));
  EXPECT_THAT(refusal([] { processed(R"({"type":"Other"})"); }), HasSubstr("unsupported"));
}

}  // namespace
}  // namespace tenon::text
