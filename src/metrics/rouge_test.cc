#include "metrics/rouge.h"

#include <gtest/gtest.h>

namespace tenon::metrics {
namespace {

void expect_score(const RougeScore& score, double precision, double recall, double f) {
  EXPECT_NEAR(score.precision, precision, 1e-12);
  EXPECT_NEAR(score.recall, recall, 1e-12);
  EXPECT_NEAR(score.f, f, 1e-12);
}

TEST(Rouge, HandWorkedSentence) {
  // text: the cat sat on the mat (6 words); reference: the cat was on a mat today (7 words).
  RougeScores scores = rouge("The cat sat on the mat.", "the cat was on a mat, today");
  expect_score(scores.rouge1, 4.0 / 6, 4.0 / 7, 8.0 / 13);  // the, cat, on, mat
  expect_score(scores.rouge2, 1.0 / 5, 1.0 / 6, 2.0 / 11);  // the cat
  expect_score(scores.rouge_l, 4.0 / 6, 4.0 / 7, 8.0 / 13);
  expect_score(scores.rouge_l_sum, 4.0 / 6, 4.0 / 7, 8.0 / 13);
}

TEST(Rouge, OrderMattersForTheSubsequenceOnly) {
  RougeScores scores = rouge("c b a", "a b c");
  expect_score(scores.rouge1, 1, 1, 1);
  expect_score(scores.rouge2, 0, 0, 0);
  expect_score(scores.rouge_l, 1.0 / 3, 1.0 / 3, 1.0 / 3);
}

TEST(Rouge, CountsAreClipped) {
  expect_score(rouge("a a a a", "a a b").rouge1, 2.0 / 4, 2.0 / 3, 4.0 / 7);
}

// The example of the union in Lin (2004), section 3.2: reference w1..w5, sentences "w1 w2 w6 w7 w8"
// and "w1 w3 w8 w9 w5" have the union w1 w2 w3 w5.
TEST(Rouge, SummaryLevelUnion) {
  RougeScores scores = rouge("w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5");
  expect_score(scores.rouge_l_sum, 4.0 / 10, 4.0 / 5, 8.0 / 15);
}

TEST(Rouge, SummaryLevelSpendsEachWordOnce) {
  // Both reference lines match the only text line, whose words are there once.
  expect_score(rouge("a b", "a b\na b").rouge_l_sum, 1, 0.5, 2.0 / 3);
  // Blank lines are no sentences.
  expect_score(rouge("a b\n\n", "\na b").rouge_l_sum, 1, 1, 1);
  // Across lines there is no order.
  expect_score(rouge("c d\na b", "a b\nc d").rouge_l_sum, 1, 1, 1);
  expect_score(rouge("c d\na b", "a b\nc d").rouge_l, 0.5, 0.5, 0.5);
}

TEST(Rouge, EmptyTextsScoreZero) {
  for (const char* text : {"", "...", "\n"}) {
    for (const RougeScores& scores : {rouge(text, "a b"), rouge("a b", text), rouge(text, text)}) {
      expect_score(scores.rouge1, 0, 0, 0);
      expect_score(scores.rouge2, 0, 0, 0);
      expect_score(scores.rouge_l, 0, 0, 0);
      expect_score(scores.rouge_l_sum, 0, 0, 0);
    }
  }
}

TEST(Rouge, TokensAreLowerCaseAsciiRuns) {
  EXPECT_EQ(rouge_tokens("Don't stop--3.5M na\xC3\xAFve"),
            (std::vector<std::string>{"don", "t", "stop", "3", "5m", "na", "ve"}));
  // Two characters outside ASCII have ASCII lower-case forms: the Kelvin sign and dotted I.
  EXPECT_EQ(rouge_tokens("5\xE2\x84\xAA \xC4\xB0x"), (std::vector<std::string>{"5k", "i", "x"}));
}

TEST(Rouge, StemsOnlyWordsLongerThanThree) {
  EXPECT_EQ(rouge_tokens("Dogs are running, was", {.stem = true}),
            (std::vector<std::string>{"dog", "are", "run", "was"}));
  expect_score(rouge("he runs", "he running", {.stem = true}).rouge1, 1, 1, 1);
  expect_score(rouge("he runs", "he running").rouge1, 0.5, 0.5, 0.5);
}

}  // namespace
}  // namespace tenon::metrics
