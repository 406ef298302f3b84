// What Hugging Face tokenizers (bert, t5) and SentencePiece make of the 10,240 strings of
// tokenizer_golden_test.cc. Most results are stored as one digest for each 32 strings
// (tests/golden/README.md).
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "data/json.h"
#include "text/golden_vectors_test_support.h"
#include "text/incremental_decoder.h"
#include "text/tokenizer.h"

namespace tenon::text {
namespace {

constexpr size_t kSpecialEvery = 256;

class PieceGolden : public testing::TestWithParam<std::string> {
 protected:
  std::string folder() const { return kGoldenFolder + GetParam() + "/"; }
  // SentencePiece's own functions see no special tokens in a text.
  bool is_model_file() const { return GetParam().starts_with("sentencepiece"); }
  Ids encode(const Tokenizer& tokenizer, std::string_view text, bool special = false) const {
    return tokenizer.encode(text,
                            {.add_special_tokens = special, .parse_special = !is_model_file()});
  }
  void check_ids(const Tokenizer& tokenizer) const {
    EXPECT_EQ(wrong_ids(folder(), [&](std::string_view text) { return encode(tokenizer, text); }),
              "");
  }
};

TEST_P(PieceGolden, EncodesAsTheOriginal) {
  check_ids(*Tokenizer::from_folder(folder()));
}

TEST_P(PieceGolden, SurvivesSerialising) {
  auto tokenizer = Tokenizer::from_folder(folder());
  std::string bytes = tokenizer->serialise();
  auto again = Tokenizer::from_serialised(bytes);
  EXPECT_EQ(again->serialise(), bytes);
  EXPECT_EQ(again->eos(), tokenizer->eos());
  EXPECT_EQ(again->unk(), tokenizer->unk());
  check_ids(*again);
}

TEST_P(PieceGolden, AddsSpecialTokensAsTheOriginal) {
  auto tokenizer = Tokenizer::from_folder(folder());
  GoldenTable strings(kGoldenFolder + "strings.bin"), expected(folder() + "special.bin");
  ASSERT_EQ(expected.size(), (strings.size() + kSpecialEvery - 1) / kSpecialEvery);
  for (size_t i = 0; i < expected.size(); ++i) {
    std::string_view text = strings.text(i * kSpecialEvery);
    EXPECT_EQ(encode(*tokenizer, text, true), expected.ids(i)) << escape_for_message(text);
  }
}

TEST_P(PieceGolden, DecodesAsTheOriginal) {
  auto tokenizer = Tokenizer::from_folder(folder());
  GoldenTable strings(kGoldenFolder + "strings.bin");
  std::string text;
  EXPECT_EQ(wrong_blocks(read_digests(folder() + "decoded.digests.bin"), strings.size(),
                         [&](size_t i) -> std::string_view {
                           Ids ids = encode(*tokenizer, strings.text(i));
                           text = tokenizer->decode(ids, is_model_file());
                           return text;
                         }),
            "");
}

TEST_P(PieceGolden, StreamsWhatItDecodes) {
  auto tokenizer = Tokenizer::from_folder(folder());
  GoldenTable strings(kGoldenFolder + "strings.bin");
  for (size_t i = 0; i < strings.size(); ++i) {
    Ids ids = encode(*tokenizer, strings.text(i));
    IncrementalDecoder decoder(tokenizer);
    std::string streamed;
    for (int32_t id : ids) {
      std::string more = decoder.push(id);
      ASSERT_TRUE(is_valid_utf8(more));
      streamed += more;
    }
    ASSERT_EQ(streamed + decoder.finish(), tokenizer->decode(ids)) << "string " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, PieceGolden,
                         testing::Values("bert", "t5", "sentencepiece_bpe",
                                         "sentencepiece_unigram"),
                         [](const auto& kind) { return kind.param; });

// vocab.txt with its folder's settings is the same tokenizer as bert's tokenizer.json.
TEST(VocabTxt, GivesTheIdsOfTokenizerJson) {
  auto expected = Tokenizer::from_folder(kGoldenFolder + "bert");
  std::string folder = testing::TempDir() + "tenon_vocab_txt_" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  std::ofstream file(folder + "/vocab.txt");
  for (int32_t id = 0; id <= expected->largest_id(); ++id) {
    file << expected->token_text(id).value() << "\n";
  }
  file.close();
  auto tokenizer = Tokenizer::from_folder(folder);
  std::filesystem::remove_all(folder);
  GoldenTable strings(kGoldenFolder + "strings.bin");
  for (size_t i = 0; i < strings.size(); ++i) {
    ASSERT_EQ(tokenizer->encode(strings.text(i)), expected->encode(strings.text(i)));
  }
}

}  // namespace
}  // namespace tenon::text
