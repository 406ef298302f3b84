#include <gtest/gtest.h>

#include "cli/console.h"
#include "cli/run_report.h"
#include "cli/text_table.h"

namespace tenon::cli {
namespace {

TEST(Printable, KeepsTextAndEscapesWhatSteersATerminal) {
  EXPECT_EQ(printable("a\tb\nZo\xC3\xAB \xF0\x9F\x8D\xB0"), "a\tb\nZo\xC3\xAB \xF0\x9F\x8D\xB0");
  EXPECT_EQ(printable("\x1b[2J\r\x7f"), "\\x1b[2J\\x0d\\x7f");
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m"),
            "\\xc2\\x9b31m");
  EXPECT_EQ(printable("\xFF\xC3"), "\\xff\\xc3");
  EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
}

TEST(OneLine, CanBeReadBack) {
  EXPECT_EQ(one_line("a\nb\\n\r"), "a\\nb\\\\n\\r");
  EXPECT_EQ(one_line(""), "");
}

TEST(TextTable, AlignsByCharacters) {
  EXPECT_EQ(text_table({{"Zo\xC3\xAB", "1", "x"}, {"Hugo", "22"}}, "lr"),
            "Zo\xC3\xAB    1  x\nHugo  22\n");
  EXPECT_EQ(text_table({}), "");
}

TEST(SpeedLine, OneAndSeveralPrompts) {
  llm::Result result;
  result.ids = {1, 2, 3};
  result.prompt_tokens = 10;
  result.timings.first_token = 0.5;
  RunReport report{.results = {result}, .load_seconds = 0.25, .seconds = 1.5};
  EXPECT_EQ(speed_line(report),
            "10 prompt tokens at 20.0 /s, 3 new tokens at 2.0 /s, first token after 500 ms; "
            "loaded in 250 ms");
  report.results.push_back(result);
  EXPECT_EQ(speed_line(report),
            "2 prompts together: 20 prompt tokens at 13.3 /s, 6 new tokens at 4.0 /s, first token "
            "after 500 ms (mean); loaded in 250 ms");
}

}  // namespace
}  // namespace tenon::cli
