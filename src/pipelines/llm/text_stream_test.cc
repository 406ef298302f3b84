#include "pipelines/llm/text_stream.h"

#include <gtest/gtest.h>

#include "pipelines/llm/test_plan.h"

namespace tenon::llm {
namespace {

TEST(StopMatcher, HoldsBackWhatCouldBeginAStopString) {
  StopMatcher matcher({"END", "\n\n"});
  EXPECT_EQ(matcher.push("one E"), "one ");
  EXPECT_EQ(matcher.push("N"), "");
  EXPECT_EQ(matcher.push("E"), "EN");
  EXPECT_EQ(matcher.push("x\n"), "Ex");
  EXPECT_EQ(matcher.push("y"), "\ny");
  EXPECT_FALSE(matcher.matched());
  EXPECT_EQ(matcher.push("z END more"), "z ");
  EXPECT_TRUE(matcher.matched());
  EXPECT_EQ(matcher.push("more"), "");
  EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, FinishGivesWhatWasHeldBack) {
  StopMatcher matcher({"END"});
  EXPECT_EQ(matcher.push("the EN"), "the ");
  EXPECT_EQ(matcher.finish(), "EN");
  EXPECT_EQ(StopMatcher({}).push("all"), "all");
}

// Every way to cut a text into three pieces gives the same text before the stop.
TEST(StopMatcher, DoesNotDependOnPieces) {
  const std::vector<std::string> stops = {"abc", "b", "cab", "aab"};
  for (std::string text : {"xxaabcab", "aaab", "cacab", "no stop a", "ccca"}) {
    StopMatcher whole(stops);
    std::string expected = whole.push(text);
    expected += whole.finish();
    for (size_t i = 0; i <= text.size(); ++i) {
      for (size_t j = i; j <= text.size(); ++j) {
        StopMatcher matcher(stops);
        std::string shown = matcher.push(text.substr(0, i));
        shown += matcher.push(text.substr(i, j - i));
        shown += matcher.push(text.substr(j));
        shown += matcher.finish();
        EXPECT_EQ(shown, expected) << text << " cut at " << i << ", " << j;
        EXPECT_EQ(matcher.matched(), whole.matched());
      }
    }
  }
}

TEST(TextStream, NeverShowsHalfACharacter) {
  TextStream stream(text::Tokenizer::from_serialised(test_tokenizer()), {});
  EXPECT_EQ(stream.push(34), "the");
  EXPECT_EQ(stream.push(28), "");
  EXPECT_EQ(stream.push(29), "é");
  EXPECT_EQ(stream.push(28), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
}

TEST(TextStream, MatchesAStopStringAcrossTokensAndStaysEmptyWithoutATokenizer) {
  TextStream stream(text::Tokenizer::from_serialised(test_tokenizer()), {"he."});
  EXPECT_EQ(stream.push(19), "t");
  EXPECT_EQ(stream.push(33), "");
  EXPECT_EQ(stream.push(27), "");
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(stream.finish(), "");
  TextStream silent(nullptr, {});
  EXPECT_EQ(silent.push(5) + silent.finish(), "");
}

}  // namespace
}  // namespace tenon::llm
