// What Hugging Face tokenizers makes of 10,240 strings (tests/golden/README.md says how the files
// were made and what they hold).
#include <gtest/gtest.h>

#include <cstring>

#include "base/file.h"
#include "base/text.h"
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

std::string spelled(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  std::string out;
  for (int32_t id : ids) {
    out +=
        std::to_string(id) + ":" + escape_for_message(tokenizer.token_text(id).value_or("?")) + " ";
  }
  return out;
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

void check_ids(const std::string& folder, const Tokenizer& tokenizer) {
  Table strings(kFolder + "strings.bin"), expected(folder + "ids.bin");
  ASSERT_EQ(strings.size(), expected.size());
  ASSERT_GE(strings.size(), 10'000u);
  size_t wrong = 0;
  for (size_t i = 0; i < strings.size(); ++i) {
    auto ids = tokenizer.encode(strings.text(i), {.add_special_tokens = false});
    if (ids == expected.ids(i)) continue;
    if (++wrong > 1) continue;
    ADD_FAILURE() << "string " << i << ": " << escape_for_message(strings.text(i)) << "\n got "
                  << spelled(tokenizer, ids) << "\n want " << spelled(tokenizer, expected.ids(i));
  }
  EXPECT_EQ(wrong, 0u) << "of " << strings.size();
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
  Table strings(kFolder + "strings.bin"), ids(folder() + "ids.bin"),
      decoded(folder() + "decoded.bin");
  std::vector<uint32_t> index = read_index(folder() + "decoded.index.bin");
  ASSERT_EQ(index.size(), decoded.size());
  std::vector<std::string_view> expected;
  for (size_t i = 0; i < strings.size(); ++i) expected.push_back(strings.text(i));
  for (size_t i = 0; i < index.size(); ++i) expected.at(index[i]) = decoded.text(i);
  for (size_t i = 0; i < strings.size(); ++i) {
    ASSERT_EQ(tokenizer->decode(ids.ids(i), false), expected[i])
        << escape_for_message(strings.text(i));
    ASSERT_EQ(streamed(tokenizer, ids.ids(i)), expected[i]) << escape_for_message(strings.text(i));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Golden,
                         testing::Values("gpt2", "llama2", "llama2_metaspace", "llama3", "qwen2"),
                         [](const auto& kind) { return kind.param; });

}  // namespace
}  // namespace tenon::text
