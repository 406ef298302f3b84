// Expected texts are those of the tokenizers package (0.23.2).
#include "text/word_decoders.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon::text {
namespace {

std::string decoded(std::string_view json_text, const std::vector<std::string>& tokens) {
  data::Json json = data::parse_json(json_text);
  auto decoder = make_decoder({json, "decoder"});
  std::string out;
  auto stage = decoder->make_stage(make_text_sink(out), {});
  for (const std::string& token : tokens) stage->push(token, true);
  stage->finish();
  return out;
}

TEST(WordPieceDecoder, JoinsPiecesAndCleansUp) {
  constexpr std::string_view kClean = R"({"type":"WordPiece","prefix":"##","cleanup":true})";
  EXPECT_EQ(decoded(kClean, {"do", "##n", "'", "t", "stop", "##ping", ",", "ok", "."}),
            "don ' t stopping, ok.");
  EXPECT_EQ(decoded(kClean, {"they", "'re", "n't", "do not"}), "they'ren't don't");
  EXPECT_EQ(decoded(R"({"type":"WordPiece","prefix":"##","cleanup":false})", {"ok", "."}), "ok .");
  // The first token keeps its prefix.
  EXPECT_EQ(decoded(kClean, {"##a", "##b", "c"}), "##ab c");
  EXPECT_EQ(decoded(kClean, {}), "");
}

TEST(BpeDecoder, SuffixIsASpaceButAtTheEnd) {
  constexpr std::string_view kBpe = R"({"type":"BPEDecoder","suffix":"</w>"})";
  EXPECT_EQ(decoded(kBpe, {"a</w>", "b", "c</w>"}), "a bc");
  EXPECT_EQ(decoded(kBpe, {"</w>"}), "");
  EXPECT_EQ(decoded(kBpe, {}), "");
  EXPECT_THROW(decoded(R"({"type":"BPEDecoder","suffix":""})", {}), Error);
}

TEST(CtcDecoder, CollapsesRepeatsAndDropsPadding) {
  constexpr std::string_view kCtc =
      R"({"type":"CTC","pad_token":"<pad>","word_delimiter_token":"|","cleanup":true})";
  EXPECT_EQ(decoded(kCtc, {"<pad>", "h", "e", "e", "l", "l", "<pad>", "l", "o", "o"}), "hello");
  EXPECT_EQ(decoded(kCtc, {"a", "|", "|", "<pad>", "|", "b"}), "a  b");
  EXPECT_EQ(decoded(R"({"type":"CTC","cleanup":false})", {"a", "|", "b"}), "a|b");
}

}  // namespace
}  // namespace tenon::text
