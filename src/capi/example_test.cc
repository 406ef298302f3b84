#include <gmock/gmock.h>
#include <stdio.h>
#include <sys/wait.h>

#include <string>

#include "capi/capi_test_plan.h"
#include "tenon/tenon.h"

namespace {

struct Ran {
  int exit_code = -1;
  std::string output;
};

// Runs the C example with both its outputs together.
Ran run_example(const std::string& arguments) {
  std::string command = std::string(TENON_EXAMPLE) + " " + arguments + " 2>&1";
  Ran ran;
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return ran;
  char piece[256];
  while (size_t count = fread(piece, 1, sizeof(piece), pipe)) ran.output.append(piece, count);
  int status = pclose(pipe);
  if (WIFEXITED(status)) ran.exit_code = WEXITSTATUS(status);
  return ran;
}

TEST(Example, GeneratesFromC) {
  TestPlanFile file;
  Ran ran = run_example(file.path() + " 'the cab' 5");
  EXPECT_EQ(ran.exit_code, 0) << ran.output;
  EXPECT_THAT(ran.output, testing::HasSubstr("tokens in"));
}

TEST(Example, ExitsWithTheCodeOfTheError) {
  EXPECT_EQ(run_example("").exit_code, TENON_USAGE);
  Ran ran = run_example("/dev text");
  EXPECT_EQ(ran.exit_code, TENON_BAD_INPUT);
  EXPECT_THAT(ran.output, testing::HasSubstr("/dev"));
}

}  // namespace
