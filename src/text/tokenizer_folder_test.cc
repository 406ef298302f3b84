#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "text/tokenizer.h"
#include "text/tokenizer_test_support.h"

namespace tenon::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class TokenizerFolder : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = testing::TempDir() + "tenon_text_" + test->name() + "_" + std::to_string(getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ + "/" + name) << text;
  }
  void write_gpt2() {
    write("vocab.json",
          R"({"a":0,"b":1,"Ġ":2,"ab":3,"Ġab":4,"1":5,"2":6,"<|endoftext|>":7,"é":8,"Ã":9,"©":10})");
    write("merges.txt", "#version: 0.2\na b\r\nĠ ab\n");
  }
  std::string message() {
    try {
      Tokenizer::from_folder(folder_);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  std::string folder_;
};

TEST_F(TokenizerFolder, TokenizerJsonComesFirst) {
  write_gpt2();
  write("tokenizer.json", TestTokenizer().json());
  write("tokenizer_config.json",
        R"({"bos_token":"a","eos_token":{"content":"b","lstrip":false},"pad_token":null})");
  write("special_tokens_map.json", R"({"eos_token":"c","unk_token":{"content":"<unk>"}})");
  auto tokenizer = Tokenizer::from_folder(folder_);
  EXPECT_THAT(tokenizer->encode("abc"), ElementsAre(5));
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), 2);
  EXPECT_EQ(tokenizer->pad(), std::nullopt);
  EXPECT_EQ(tokenizer->unk(), 0);
}

TEST_F(TokenizerFolder, ReadsVocabAndMerges) {
  write_gpt2();
  auto tokenizer = Tokenizer::from_folder(folder_);
  EXPECT_THAT(tokenizer->encode("ab ab12<|endoftext|>"), ElementsAre(3, 4, 5, 6, 7));
  EXPECT_EQ(tokenizer->decode(Ids{3, 4, 7}), "ab ab");
  EXPECT_EQ(tokenizer->decode(Ids{3, 4, 7}, false), "ab ab<|endoftext|>");
}

TEST_F(TokenizerFolder, ReadsAddedTokensOfTheOlderFiles) {
  write_gpt2();
  write("added_tokens.json", R"({"<x>":20,"<y>":21})");
  write("special_tokens_map.json",
        R"({"eos_token":"<x>","additional_special_tokens":["<|endoftext|>"]})");
  write("tokenizer_config.json", R"({"tokenizer_class":"GPT2TokenizerFast","added_tokens_decoder":
      {"22":{"content":"<z>","special":true,"lstrip":true,"normalized":false,"rstrip":false,"single_word":false}}})");
  auto tokenizer = Tokenizer::from_folder(folder_);
  EXPECT_THAT(tokenizer->encode("<x><y> <z>"), ElementsAre(20, 21, 22));
  EXPECT_TRUE(tokenizer->is_special(20));
  EXPECT_FALSE(tokenizer->is_special(21));
  EXPECT_EQ(tokenizer->eos(), 20);
}

TEST_F(TokenizerFolder, Qwen2FilesHaveItsPipeline) {
  write_gpt2();
  write("tokenizer_config.json", R"({"tokenizer_class":"Qwen2Tokenizer"})");
  auto tokenizer = Tokenizer::from_folder(folder_);
  // NFC joins the mark; digits stand alone.
  EXPECT_THAT(tokenizer->encode("ab12e\u0301"), ElementsAre(3, 5, 6, 9, 10));
}

TEST_F(TokenizerFolder, NamesWhatIsMissingOrUnknown) {
  EXPECT_THAT(message(), HasSubstr("folder has no tokenizer"));
  write("vocab.json", "{}");
  EXPECT_THAT(message(), HasSubstr("folder has no tokenizer"));
  write_gpt2();
  write("tokenizer_config.json", R"({"tokenizer_class":"CLIPTokenizer"})");
  EXPECT_THAT(message(), HasSubstr("got CLIPTokenizer"));
  write("tokenizer_config.json", R"({"added_tokens_decoder":{"-4":{"content":"<z>"}}})");
  EXPECT_THAT(message(), HasSubstr("token id out of range"));
}

TEST_F(TokenizerFolder, ErrorsNameTheFolder) {
  write("tokenizer.json", "{\"model\":");
  EXPECT_THAT(message(), HasSubstr(folder_));
  EXPECT_THAT(message(), HasSubstr("not valid JSON"));
}

}  // namespace
}  // namespace tenon::text
