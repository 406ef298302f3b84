#include "metrics/porter_stemmer.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace tenon::metrics {
namespace {

// Each line is a word and its stem by PorterStemmer() of Debian's python3-nltk; the file's first
// line says which.
TEST(PorterStemmer, AgreesWithNltk) {
  std::ifstream file(TENON_SOURCE_DIR "/src/metrics/testdata/porter_stems.txt");
  std::string line, word, stem;
  std::getline(file, line);
  int words = 0;
  while (file >> word >> stem) {
    EXPECT_EQ(porter_stem(word), stem) << word;
    ++words;
  }
  EXPECT_GE(words, 300);
}

TEST(PorterStemmer, ShortWordsStayWhole) {
  EXPECT_EQ(porter_stem(""), "");
  EXPECT_EQ(porter_stem("is"), "is");
}

}  // namespace
}  // namespace tenon::metrics
