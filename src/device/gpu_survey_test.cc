#include "device/gpu_survey.h"

#include <gmock/gmock.h>

namespace tenon::device {
namespace {

using testing::HasSubstr;

GpuSurvey survey_of(int major, int minor) {
  return {.needed_version = 13000,
          .architectures = "90a",
          .gpus = {{.index = 0, .name = "Some GPU", .major = major, .minor = minor}}};
}

void expect_refusal(const GpuSurvey& survey, int index, ErrorCode code,
                    const std::vector<std::string>& words) {
  std::optional<Error> refusal = gpu_refusal(survey, index);
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->code(), code) << refusal->what();
  for (const std::string& word : words) EXPECT_THAT(refusal->what(), HasSubstr(word));
  EXPECT_NE(refusal->fix(), "");
}

TEST(GpuSurvey, ArchitecturesServeTheCardsTheyCan) {
  struct Case {
    const char* architectures;
    std::vector<int> serves, refuses;
  };
  const std::vector<Case> cases = {
      {"90a", {90}, {80, 86, 89, 100, 120}},
      {"86", {86, 87, 89, 90, 100}, {75, 80}},
      {"86-real", {86, 87, 89}, {80, 90, 120}},
      {"80-virtual", {80, 86, 89, 90, 100, 120}, {75, 72}},
      {"100f", {100, 103}, {90, 110, 120}},
      {"80-virtual,86,89,90a", {80, 86, 89, 90, 120}, {75}},
      {"86-real,90a", {86, 89, 90}, {80, 100}},
      {"", {}, {80, 90}},
      {"native", {}, {80, 90}},
  };
  for (const Case& test : cases) {
    for (int card : test.serves) {
      EXPECT_TRUE(carries_code(test.architectures, card / 10, card % 10))
          << test.architectures << " on " << card;
    }
    for (int card : test.refuses) {
      EXPECT_FALSE(carries_code(test.architectures, card / 10, card % 10))
          << test.architectures << " on " << card;
    }
  }
}

TEST(GpuSurvey, AGoodCardIsNotRefused) {
  EXPECT_FALSE(gpu_refusal(survey_of(9, 0), 0).has_value());
}

TEST(GpuSurvey, DriverProblemsAreUnsupported) {
  GpuSurvey survey = survey_of(9, 0);
  survey.driver = GpuSurvey::Driver::Absent;
  expect_refusal(survey, 0, ErrorCode::Unsupported, {"no NVIDIA driver", "cuda:0", "8.0"});
  survey.driver = GpuSurvey::Driver::TooOld;
  survey.driver_version = 12080;
  expect_refusal(survey, 0, ErrorCode::Unsupported, {"for CUDA 12.8", "for CUDA 13.0 or newer"});
  survey.driver = GpuSurvey::Driver::Failed;
  survey.failure = "driver and library differ";
  expect_refusal(survey, 0, ErrorCode::Unsupported, {"driver and library differ"});
}

TEST(GpuSurvey, MissingAndOldCardsAreUnsupported) {
  expect_refusal({}, 0, ErrorCode::Unsupported, {"no GPU"});
  expect_refusal(survey_of(9, 0), 1, ErrorCode::Unsupported, {"cuda:1", "1 GPU(s)"});
  expect_refusal(survey_of(9, 0), -1, ErrorCode::Unsupported, {"1 GPU(s)"});
  expect_refusal(survey_of(7, 5), 0, ErrorCode::Unsupported, {"7.5", "8.0"});
  GpuSurvey lost = survey_of(9, 0);
  lost.gpus[0].problem = "GPU 0 does not answer";
  expect_refusal(lost, 0, ErrorCode::Unsupported, {"does not answer"});
}

TEST(GpuSurvey, ACardWithoutCodeIsTheWrongBuild) {
  expect_refusal(survey_of(8, 6), 0, ErrorCode::WrongPlan,
                 {"8.6", "90a", "TENON_CUDA_ARCHITECTURES=86"});
}

}  // namespace
}  // namespace tenon::device
