// Folders with tokenizer.model, spiece.model or vocab.txt and no tokenizer.json.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "text/base64.h"
#include "text/tokenizer_test_support.h"

namespace tenon::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string field(int number, const std::string& data) {
  return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(data.size()) + data;
}

std::string piece(const std::string& text, float score, char type = 1) {
  char bytes[4];
  std::memcpy(bytes, &score, 4);
  return field(1, field(1, text) + "\x15" + std::string(bytes, 4) + "\x18" + type);
}

// A BPE model: unk, bos, eos, five pieces.
std::string model_file() {
  return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) + piece("\u2581", -4) +
         piece("a", -5) + piece("b", -6) + piece("ab", -1) + piece("\u2581ab", -2) +
         field(2, "\x18\x02") + field(3, std::string("\x20\0", 2));
}

// Llama-3's form: one byte, a blank, two merges.
std::string rank_file() {
  std::string out;
  int rank = 0;
  for (const char* bytes : {"a", "b", " ", "ab", " ab", "\xC3", "\xA9"}) {
    out += encode_base64(bytes) + " " + std::to_string(rank++) + "\n";
  }
  return out;
}

class ModelFileFolder : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = testing::TempDir() + "tenon_model_" + test->name() + "_" + std::to_string(getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << text;
  }
  std::shared_ptr<const Tokenizer> load() { return Tokenizer::from_folder(folder_); }
  std::string message() {
    try {
      load();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  std::string folder_;
};

TEST_F(ModelFileFolder, ReadsASentencePieceModelAsLlamaDoes) {
  EXPECT_FALSE(Tokenizer::is_in_folder(folder_));
  write("tokenizer.model", model_file());
  EXPECT_TRUE(Tokenizer::is_in_folder(folder_));
  auto tokenizer = load();
  EXPECT_THAT(tokenizer->encode("ab ab"), ElementsAre(1, 7, 7));
  EXPECT_EQ(tokenizer->decode(Ids{1, 7, 7, 2}), "ab ab");
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), 2);
  EXPECT_EQ(tokenizer->unk(), 0);
  EXPECT_EQ(tokenizer->pad(), std::nullopt);
  EXPECT_EQ(tokenizer->vocabulary_size(), 8);
  EXPECT_TRUE(tokenizer->is_special(2));
  auto again = Tokenizer::from_serialised(tokenizer->serialise());
  EXPECT_EQ(again->serialise(), tokenizer->serialise());
}

// "legacy" says whether a text after a special token gets a space before it, too.
TEST_F(ModelFileFolder, TheSpaceBeforeATextFollowsLegacy) {
  write("tokenizer.model", model_file());
  EXPECT_THAT(load()->encode("ab</s>ab"), ElementsAre(1, 7, 2, 7));
  write("tokenizer_config.json", R"({"tokenizer_class":"LlamaTokenizer","legacy":false})");
  EXPECT_THAT(load()->encode("ab</s>ab"), ElementsAre(1, 7, 2, 6));
  EXPECT_THAT(load()->encode("ab</s>ab", {.add_special_tokens = false, .parse_special = false}),
              ElementsAre(7, 0, 6));
}

TEST_F(ModelFileFolder, SettingsSayWhatIsAddedAround) {
  write("tokenizer.model", model_file());
  write("tokenizer_config.json",
        R"({"add_bos_token":false,"add_eos_token":true,"pad_token":"[PAD]"})");
  write("added_tokens.json", R"({"[PAD]":8})");
  auto tokenizer = load();
  EXPECT_THAT(tokenizer->encode("ab"), ElementsAre(7, 2));
  EXPECT_EQ(tokenizer->pad(), 8);
  EXPECT_TRUE(tokenizer->is_special(8));
}

TEST_F(ModelFileFolder, T5HasExtraTokensAndAnEnd) {
  write("spiece.model", model_file());
  write("tokenizer_config.json", R"({"tokenizer_class":"T5TokenizerFast","extra_ids":2})");
  auto tokenizer = load();
  EXPECT_THAT(tokenizer->encode("ab<extra_id_0>"), ElementsAre(7, 9, 2));
  EXPECT_EQ(tokenizer->token_id("<extra_id_1>"), 8);
}

TEST_F(ModelFileFolder, OtherClassesAreRefusedByName) {
  write("tokenizer.model", model_file());
  write("tokenizer_config.json", R"({"tokenizer_class":"XLMRobertaTokenizer"})");
  EXPECT_THAT(message(), HasSubstr("got XLMRobertaTokenizer"));
  EXPECT_THAT(message(), HasSubstr("tokenizer.json"));
}

TEST_F(ModelFileFolder, ReadsTheRankFileOfLlama3) {
  write("tokenizer.model", rank_file());
  auto tokenizer = load();
  EXPECT_THAT(tokenizer->encode("ab ab\u00e9"), ElementsAre(7, 3, 4, 5, 6));
  EXPECT_EQ(tokenizer->decode(Ids{7, 3, 4, 5, 6, 8}), "ab ab\u00e9");
  EXPECT_EQ(tokenizer->token_text(7), "<|begin_of_text|>");
  EXPECT_EQ(tokenizer->eos(), 8);
  EXPECT_EQ(tokenizer->token_id("<|start_header_id|>"), 13);
  EXPECT_EQ(tokenizer->token_id("<|eot_id|>"), 16);
  EXPECT_EQ(tokenizer->token_id("<|reserved_special_token_250|>"), 7 + 255);
  EXPECT_EQ(tokenizer->vocabulary_size(), 7 + 256);
  auto again = Tokenizer::from_serialised(tokenizer->serialise());
  EXPECT_EQ(again->encode("ab ab"), tokenizer->encode("ab ab"));
}

TEST_F(ModelFileFolder, NamesBadLinesOfARankFile) {
  write("tokenizer.model", "YQ== 0\nYg==1\nYw== x\nYQ== 3\n");
  EXPECT_THAT(message(), HasSubstr("line 2"));
  EXPECT_THAT(message(), HasSubstr("line 3"));
  write("tokenizer.model", "YQ== 0\nYQ== 1\n");
  EXPECT_THAT(message(), HasSubstr("token appears twice"));
  write("tokenizer.model", "something else");
  EXPECT_THAT(message(), HasSubstr("neither a SentencePiece model nor a tiktoken rank file"));
}

TEST_F(ModelFileFolder, ReadsVocabTxtAsBert) {
  write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nab\r\n##c\n\u00e9\n");
  auto tokenizer = load();
  EXPECT_THAT(tokenizer->encode("ABC x[MASK]"), ElementsAre(2, 5, 6, 1, 4, 3));
  EXPECT_THAT(tokenizer->encode("\u00e9"), ElementsAre(2, 1, 3));
  EXPECT_EQ(tokenizer->decode(Ids{2, 5, 6, 7, 3}), "abc \u00e9");
  EXPECT_EQ(tokenizer->unk(), std::nullopt);  // no file names its role
  write("tokenizer_config.json",
        R"({"tokenizer_class":"BertTokenizer","do_lower_case":false,"unk_token":"[UNK]"})");
  EXPECT_THAT(load()->encode("ab \u00e9 AB"), ElementsAre(2, 5, 7, 1, 3));
  EXPECT_EQ(load()->unk(), 1);
}

TEST_F(ModelFileFolder, VocabTxtIsRefusedByName) {
  write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n");
  EXPECT_THAT(message(), HasSubstr("got [SEP]"));
  write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\na\n");
  EXPECT_THAT(message(), HasSubstr("token appears twice"));
  write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n\xFF\n");
  EXPECT_THAT(message(), HasSubstr("line 4"));
  write("tokenizer_config.json", R"({"tokenizer_class":"TransfoXLTokenizer"})");
  EXPECT_THAT(message(), HasSubstr("got TransfoXLTokenizer"));
}

}  // namespace
}  // namespace tenon::text
