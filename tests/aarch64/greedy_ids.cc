// greedy_ids PLAN COUNT TEXT...: the ids that follow each text, one line a text. Cross-compiled, so
// that a plan made on one CPU is run on another (plan_test.py).
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tenon/tenon.h"

namespace {

int fail(tenon_error* error) {
  int code = tenon_error_code(error);
  std::fprintf(stderr, "greedy_ids: %s\n", tenon_error_message(error));
  tenon_error_free(error);
  return code;
}

int print_ids(tenon_llm* llm, const char* text, const tenon_sampling& sampling) {
  tenon_error* error = nullptr;
  tenon_result* result = nullptr;
  tenon_segment prompt = {TENON_SEGMENT_TEXT, TENON_TEXT_ADD_SPECIAL, text, std::strlen(text), 0};
  if (tenon_llm_generate(llm, &prompt, 1, &sampling, nullptr, nullptr, &result, &error)) {
    return fail(error);
  }
  size_t count = 0;
  const int32_t* ids = tenon_result_ids(result, &count);
  for (size_t i = 0; i < count; ++i) std::printf(i == 0 ? "%d" : " %d", ids[i]);
  std::printf("\n");
  tenon_result_free(result);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: greedy_ids PLAN COUNT TEXT...\n");
    return TENON_USAGE;
  }
  tenon_error* error = nullptr;
  tenon_plan* plan = nullptr;
  tenon_llm* llm = nullptr;
  if (tenon_plan_open(argv[1], &plan, &error)) return fail(error);
  if (tenon_llm_create(plan, nullptr, &llm, &error)) return fail(error);
  tenon_sampling sampling = TENON_SAMPLING_GREEDY;
  sampling.max_new_tokens = std::atoi(argv[2]);
  int code = 0;
  for (int i = 3; i < argc && code == 0; ++i) code = print_ids(llm, argv[i], sampling);
  tenon_llm_destroy(llm);
  tenon_plan_close(plan);
  return code;
}
