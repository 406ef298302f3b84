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

using Ids = std::vector<int32_t>;

constexpr size_t kBlock = 32, kSpecialEvery = 256;

// FNV-1a, of each item's length and bytes.
class Digest {
 public:
  void add(std::string_view item) {
    auto size = static_cast<uint32_t>(item.size());
    mix({reinterpret_cast<const char*>(&size), sizeof size});
    mix(item);
  }
  uint64_t value() const { return value_; }

 private:
  void mix(std::string_view bytes) {
    for (char byte : bytes) {
      value_ = (value_ ^ static_cast<uint8_t>(byte)) * 0x100000001B3u;
    }
  }
  uint64_t value_ = 0xCBF29CE484222325u;
};

std::vector<uint64_t> read_digests(const std::string& path) {
  auto file = MappedFile::open(path);
  std::vector<uint64_t> digests(file->bytes().size() / sizeof(uint64_t));
  std::memcpy(digests.data(), file->bytes().data(), digests.size() * sizeof(uint64_t));
  return digests;
}

std::string_view bytes_of(const Ids& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t)};
}

// The blocks of strings whose results differ; `result` gives the bytes of one string's.
template <class Result>
std::string wrong_blocks(const std::vector<uint64_t>& expected, size_t strings, Result result) {
  std::string wrong;
  EXPECT_EQ(expected.size(), (strings + kBlock - 1) / kBlock);
  for (size_t block = 0; block < expected.size(); ++block) {
    Digest digest;
    size_t end = std::min((block + 1) * kBlock, strings);
    for (size_t i = block * kBlock; i < end; ++i) digest.add(result(i));
    if (digest.value() == expected[block]) continue;
    wrong += std::to_string(block * kBlock) + "-" + std::to_string(end - 1) + " ";
  }
  return wrong;
}

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
    GoldenTable strings(kGoldenFolder + "strings.bin"), shown(folder() + "ids.bin");
    ASSERT_GE(strings.size(), 10'000u);
    for (size_t i = 0; i < shown.size(); ++i) {
      ASSERT_EQ(encode(tokenizer, strings.text(i)), shown.ids(i))
          << "string " << i << ": " << escape_for_message(strings.text(i));
    }
    Ids ids;
    EXPECT_EQ(wrong_blocks(read_digests(folder() + "ids.digests.bin"), strings.size(),
                           [&](size_t i) {
                             ids = encode(tokenizer, strings.text(i));
                             return bytes_of(ids);
                           }),
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
