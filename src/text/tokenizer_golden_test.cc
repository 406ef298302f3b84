// What Hugging Face tokenizers makes of 10,240 strings (tests/golden/README.md says how the files
// were made and what they hold).
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/text.h"
#include "data/json.h"
#include "text/golden_vectors_test_support.h"
#include "text/incremental_decoder.h"
#include "text/tokenizer.h"

namespace tenon::text {
namespace {

const std::string& kFolder = kGoldenFolder;
using Table = GoldenTable;

// u32 count, u32 index [count].
std::vector<uint32_t> read_index(const std::string& path) {
  auto file = MappedFile::open(path);
  std::vector<uint32_t> all(file->bytes().size() / 4);
  std::memcpy(all.data(), file->bytes().data(), all.size() * 4);
  return {all.begin() + 1, all.begin() + 1 + all.at(0)};
}

std::string streamed(const std::shared_ptr<const Tokenizer>& tokenizer,
                     const std::vector<int32_t>& ids) {
  IncrementalDecoder decoder(tokenizer, false);
  std::string out;
  for (int32_t id : ids) {
    std::string more = decoder.push(id);
    EXPECT_TRUE(is_valid_utf8(more));
    out += more;
  }
  return out + decoder.finish();
}

class Golden : public testing::TestWithParam<std::string> {
 protected:
  std::string folder() const { return kFolder + GetParam() + "/"; }
};

Ids encode(const Tokenizer& tokenizer, std::string_view text) {
  return tokenizer.encode(text, {.add_special_tokens = false});
}

void check_ids(const std::string& folder, const Tokenizer& tokenizer) {
  EXPECT_EQ(wrong_ids(folder, [&](std::string_view text) { return encode(tokenizer, text); }), "");
}

TEST_P(Golden, EncodesAsTheOriginal) {
  check_ids(folder(), *Tokenizer::from_folder(folder()));
}

TEST_P(Golden, SurvivesSerialising) {
  auto tokenizer = Tokenizer::from_folder(folder());
  std::string bytes = tokenizer->serialise();
  auto again = Tokenizer::from_serialised(bytes);
  EXPECT_EQ(again->serialise(), bytes);
  EXPECT_EQ(again->eos(), tokenizer->eos());
  check_ids(folder(), *again);
}

TEST_P(Golden, AddsSpecialTokensAsTheOriginal) {
  auto tokenizer = Tokenizer::from_folder(folder());
  Table strings(kFolder + "strings.bin"), expected(folder() + "special.bin");
  std::vector<uint32_t> index = read_index(folder() + "special.index.bin");
  ASSERT_EQ(index.size(), expected.size());
  for (size_t i = 0; i < index.size(); ++i) {
    EXPECT_EQ(tokenizer->encode(strings.text(index[i])), expected.ids(i))
        << escape_for_message(strings.text(index[i]));
  }
}

TEST_P(Golden, DecodesAsTheOriginal) {
  auto tokenizer = Tokenizer::from_folder(folder());
  Table strings(kFolder + "strings.bin"), decoded(folder() + "decoded.bin");
  std::vector<uint32_t> index = read_index(folder() + "decoded.index.bin");
  ASSERT_EQ(index.size(), decoded.size());
  std::vector<std::string_view> expected;
  for (size_t i = 0; i < strings.size(); ++i) expected.push_back(strings.text(i));
  for (size_t i = 0; i < index.size(); ++i) expected.at(index[i]) = decoded.text(i);
  for (size_t i = 0; i < strings.size(); ++i) {
    Ids ids = encode(*tokenizer, strings.text(i));  // the original's: see EncodesAsTheOriginal
    ASSERT_EQ(tokenizer->decode(ids, false), expected[i]) << escape_for_message(strings.text(i));
    ASSERT_EQ(streamed(tokenizer, ids), expected[i]) << escape_for_message(strings.text(i));
  }
}

// GPT-2's older pair of files, with what its tokenizer.json says.
TEST(GoldenFiles, VocabularyAndMergesGiveTheSameIds) {
  data::Json json = data::read_json_file(kFolder + "gpt2/tokenizer.json", 1 << 20);
  const data::Json& model = json.at("model", "$");
  std::string folder = testing::TempDir() + "tenon_vocabulary_" + std::to_string(getpid()) + "/";
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "vocab.json") << model.at("vocab", "$").dump();
  std::ofstream merges(folder + "merges.txt");
  merges << "#version: 0.2\n";
  for (const data::Json& merge : model.at("merges", "$").as_array("merges"))
    merges << merge.as_string("merge") << "\n";
  merges.close();
  auto tokenizer = Tokenizer::from_folder(folder);
  std::filesystem::remove_all(folder);
  check_ids(kFolder + "gpt2/", *tokenizer);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Golden,
                         testing::Values("gpt2", "llama2", "llama2_metaspace", "llama3", "qwen2"),
                         [](const auto& kind) { return kind.param; });

}  // namespace
}  // namespace tenon::text
