#include "text/byte_trie.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "text/base64.h"

namespace tenon::text {
namespace {

std::string random_text(std::mt19937& rng, size_t most) {
  std::string text(rng() % (most + 1), 'a');
  for (char& c : text) c = static_cast<char>(rng() % 3 == 0 ? '\xFF' : 'a' + rng() % 3);
  return text;
}

TEST(ByteTrie, FindsTheLongestBeginning) {
  std::mt19937 rng(3);
  for (int round = 0; round < 200; ++round) {
    std::map<std::string, int32_t> texts;
    for (int i = 0; i < 30; ++i) texts.emplace(random_text(rng, 6), i);
    std::vector<ByteTrie::Entry> entries(texts.begin(), texts.end());
    ByteTrie trie(std::move(entries));
    for (int i = 0; i < 50; ++i) {
      std::string text = random_text(rng, 9);
      size_t length = text.size();
      while (length > 0 && !texts.contains(text.substr(0, length))) --length;
      ByteTrie::Hit hit = trie.longest_prefix(text);
      ASSERT_EQ(hit.length, length);
      ASSERT_EQ(hit.value, length > 0 ? texts[text.substr(0, length)] : ByteTrie::kNone);
    }
  }
}

TEST(ByteTrie, MayBeEmpty) {
  ByteTrie none, blank({{"", 1}});
  EXPECT_TRUE(none.empty());
  EXPECT_TRUE(blank.empty());
  EXPECT_EQ(none.longest_prefix("a").length, 0u);
  EXPECT_EQ(blank.longest_prefix("a").length, 0u);
}

TEST(ByteTrie, TheLastOfEqualTextsStays) {
  ByteTrie trie({{"ab", 1}, {"ab", 2}, {"a", 3}});
  EXPECT_EQ(trie.longest_prefix("abc").value, 2);
  EXPECT_EQ(trie.longest_prefix("ac").value, 3);
  EXPECT_EQ(trie.longest(), 2u);
}

// The vectors of RFC 4648.
TEST(Base64, FollowsTheStandard) {
  const std::pair<const char*, const char*> pairs[] = {{"", ""},
                                                       {"f", "Zg=="},
                                                       {"fo", "Zm8="},
                                                       {"foo", "Zm9v"},
                                                       {"foob", "Zm9vYg=="},
                                                       {"fooba", "Zm9vYmE="},
                                                       {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : pairs) {
    EXPECT_EQ(encode_base64(bytes), text);
    EXPECT_EQ(decode_base64(text), bytes);
  }
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(decode_base64(encode_base64(all)), all);
}

TEST(Base64, RefusesWhatIsNot) {
  for (const char* text : {"Zg", "Zg=", "Z===", "====", "Zm9v\n", "Zm 9", "Zh==", "Zm9=", "Z=g="}) {
    EXPECT_EQ(decode_base64(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace tenon::text
