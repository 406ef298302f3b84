#pragma once

#include <string>

// Plan files for the tests of the C ABI; standard library only, so that tests of tenon.hpp can
// include it. A file is removed when its owner goes.
class TestPlanFile {
 public:
  enum class Kind { Whole, WithoutTokenizer, NotALanguageModel };
  explicit TestPlanFile(Kind kind = Kind::Whole);
  ~TestPlanFile();
  TestPlanFile(const TestPlanFile&) = delete;
  TestPlanFile& operator=(const TestPlanFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};
inline constexpr int kPlanHidden = 16;
