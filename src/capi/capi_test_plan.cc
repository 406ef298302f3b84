#include "capi/capi_test_plan.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "pipelines/llm/test_plan.h"

static_assert(kPlanHidden == tenon::llm::kTestHidden);

TestPlanFile::TestPlanFile(Kind kind) {
  static int count = 0;
  std::string name = "tenon_capi_" + std::to_string(getpid()) + "_" + std::to_string(++count);
  path_ = std::filesystem::temp_directory_path() / (name + ".plan");
  tenon::llm::TestModel model;
  model.plan.generation.set("do_sample", true).set("top_p", 0.5).set("max_new_tokens", 7);
  if (kind == Kind::WithoutTokenizer) model.plan.tokenizer.clear();
  if (kind == Kind::NotALanguageModel) model.plan.pipeline = "vision";
  model.write(path_);
}

TestPlanFile::~TestPlanFile() {
  std::remove(path_.c_str());
}
