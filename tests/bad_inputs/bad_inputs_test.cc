#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bad_input.h"
#include "sealed.h"

namespace tenon::bad_inputs {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
constexpr int64_t kMostGrowth = 64 << 20;

class BadInput : public testing::TestWithParam<Case> {};

void expect_refused(const Case& input, const Outcome& outcome, const std::string& path) {
  auto named = [](ErrorCode code) { return static_cast<int>(code); };
  bool known = std::any_of(input.codes.begin(), input.codes.end(),
                           [&](ErrorCode code) { return named(code) == outcome.code; });
  EXPECT_TRUE(known) << "code " << outcome.code << ": " << outcome.message;
  EXPECT_THAT(outcome.message, testing::HasSubstr(path));
  EXPECT_THAT(outcome.message, testing::HasSubstr(input.message));
  EXPECT_EQ(std::count(outcome.message.begin(), outcome.message.end(), '\n'), 0);
  EXPECT_EQ(outcome.message.find('\x1b'), std::string::npos)
      << "a terminal would obey this message";
  EXPECT_EQ(outcome.log, "") << "an error is reported once, by the one who catches it";
  if (!kSanitized) {
    EXPECT_LE(outcome.seconds, input.most_seconds);
    EXPECT_LE(outcome.growth, bytes_on_disk(path) + kMostGrowth);
  }
}

void expect_accepted(const Case& input, const Outcome& outcome) {
  EXPECT_EQ(outcome.code, 0) << outcome.message;
  if (input.expect == Expect::Warn) {
    EXPECT_THAT(outcome.log, testing::HasSubstr(input.message));
    EXPECT_EQ(std::count(outcome.log.begin(), outcome.log.end(), '\n'), 1) << outcome.log;
  } else {
    EXPECT_EQ(outcome.log, "");
  }
}

TEST_P(BadInput, IsAnsweredAsTheMatrixSays) {
  const Case& input = GetParam();
  Folder folder;
  std::string path = input.make(folder);
  std::vector<std::string> before = folder.listing();
  Outcome outcome = run_alone(input, path);
  ASSERT_EQ(outcome.signal, 0) << "killed by a signal: " << outcome.log;
  ASSERT_GE(outcome.code, 0) << "not an error of ours: " << outcome.message << outcome.log;
  if (input.expect == Expect::Refuse || (input.expect == Expect::RefuseOrAccept && outcome.code)) {
    expect_refused(input, outcome, path);
  } else {
    expect_accepted(input, outcome);
  }
  if (!input.changes_files) {
    EXPECT_EQ(folder.listing(), before) << "a file was written";
  }
  // One line a case: `--gtest_filter=... | grep '^case'` is the table of the report.
  std::printf("case %s%s code %d, %.3f s, %.1f MiB above the start%s%s\n", input.row.c_str(),
              input.name.c_str(), outcome.code, outcome.seconds,
              static_cast<double>(outcome.growth) / (1 << 20), outcome.message.empty() ? "" : ": ",
              outcome.message.c_str());
}

std::string test_name(const testing::TestParamInfo<Case>& test) {
  return test.param.row + test.param.name;
}

INSTANTIATE_TEST_SUITE_P(Safetensors, BadInput, testing::ValuesIn(safetensors_cases()), test_name);
INSTANTIATE_TEST_SUITE_P(HeaderFields, BadInput, testing::ValuesIn(header_field_cases()),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Folders, BadInput, testing::ValuesIn(folder_cases()), test_name);
INSTANTIATE_TEST_SUITE_P(Configs, BadInput, testing::ValuesIn(config_cases()), test_name);
INSTANTIATE_TEST_SUITE_P(PickleCode, BadInput, testing::ValuesIn(pickle_code_cases()), test_name);
INSTANTIATE_TEST_SUITE_P(PickleValues, BadInput, testing::ValuesIn(pickle_value_cases()),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Zip, BadInput, testing::ValuesIn(zip_cases()), test_name);
INSTANTIATE_TEST_SUITE_P(TokenizerFiles, BadInput, testing::ValuesIn(tokenizer_file_cases()),
                         test_name);
INSTANTIATE_TEST_SUITE_P(TokenizerTexts, BadInput, testing::ValuesIn(tokenizer_text_cases()),
                         test_name);
INSTANTIATE_TEST_SUITE_P(PlanFiles, BadInput, testing::ValuesIn(plan_file_cases()), test_name);
INSTANTIATE_TEST_SUITE_P(PlanContents, BadInput, testing::ValuesIn(plan_content_cases()),
                         test_name);

// Runs `action` in a sealed process of its own; the signal that ended it, 0, or -1 without a seal.
int signal_when_sealed(const std::function<void()>& action) {
  pid_t child = fork();
  if (child == 0) {
    if (!seal_process()) _exit(77);
    action();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) return -1;
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

// The seal of the cases above holds: what a hostile file could want to do kills the process.
TEST(Seal, ForbidsProcessesSocketsAndWrites) {
  if (signal_when_sealed([] {}) == -1) GTEST_SKIP() << "seal: this kernel has no seccomp filters";
  Folder folder;
  std::string file = folder.write("file", "x");
  EXPECT_EQ(signal_when_sealed([&] { close(open(file.c_str(), O_RDONLY)); }), 0);
  EXPECT_EQ(signal_when_sealed([] { execl("/bin/true", "true", nullptr); }), SIGSYS);
  EXPECT_EQ(signal_when_sealed([] {
              if (fork() == 0) _exit(0);
            }),
            SIGSYS);
  EXPECT_EQ(signal_when_sealed([] { close(socket(AF_UNIX, SOCK_STREAM, 0)); }), SIGSYS);
  EXPECT_EQ(signal_when_sealed([&] { close(open(file.c_str(), O_WRONLY)); }), SIGSYS);
  EXPECT_EQ(signal_when_sealed([&] { close(creat((file + "2").c_str(), 0600)); }), SIGSYS);
  EXPECT_EQ(signal_when_sealed([&] { unlink(file.c_str()); }), SIGSYS);
  EXPECT_EQ(signal_when_sealed([&] { rename(file.c_str(), (file + "2").c_str()); }), SIGSYS);
}

}  // namespace
}  // namespace tenon::bad_inputs
