#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "compiler/build.h"
#include "faulty_calls.h"
#include "pipelines/llm/engine.h"
#include "plan/plan_file.h"

namespace tenon::faults {

// A folder, and a tiny model to build and run in it.
class Faults : public testing::Test {
 protected:
  Faults() {
    char pattern[] = "/tmp/tenon-faults-XXXXXX";
    folder_ = mkdtemp(pattern);
  }
  ~Faults() override {
    clear_call_fault();
    plant_allocation_fault(0);
    std::filesystem::remove_all(folder_);
  }

  std::string plan() const { return folder_ + "/model.plan"; }
  std::string model() const { return std::string(TENON_GOLDEN_MODELS) + "llama/base"; }
  void build() {
    compiler::BuildOptions options;
    options.model = model();
    options.output = plan();
    options.gate = false;
    StderrProgress quiet(ProgressStyle::Quiet);
    compiler::build(options, quiet);
  }
  static std::vector<int32_t> run(llm::Engine& engine) {
    llm::Request request;
    request.prompt.push_back(llm::Segment::of_ids({1, 5, 7}));
    request.sampling.max_new_tokens = 6;
    request.sampling.ignore_eos = true;
    return engine.generate(request).ids;
  }
  std::vector<std::string> left() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
  static std::string bytes_of(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  std::string folder_;
};

}  // namespace tenon::faults
