/* Continues a text with a language-model plan and prints it as it comes:
 *
 *     generate PLAN TEXT [MAX_NEW_TOKENS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenon/tenon.h>

static int32_t print_text(void* user, const tenon_update* update) {
  (void)user;
  fwrite(update->text, 1, update->text_bytes, stdout);
  fflush(stdout);
  return 0; /* go on */
}

static int fail(tenon_error* error) {
  int code = tenon_error_code(error);
  fprintf(stderr, "generate: %s\n", tenon_error_message(error));
  tenon_error_free(error);
  return code;
}

static int generate(tenon_llm* llm, const char* text, int64_t max_new_tokens) {
  tenon_error* error = NULL;
  tenon_result* result = NULL;
  tenon_segment prompt = {TENON_SEGMENT_TEXT, TENON_TEXT_ADD_SPECIAL, text, strlen(text), 0};
  tenon_sampling sampling = TENON_SAMPLING_GREEDY;
  double first_token, total;
  size_t count;

  if (tenon_llm_default_sampling(llm, &sampling, &error)) return fail(error);
  sampling.max_new_tokens = max_new_tokens;
  if (tenon_llm_generate(llm, &prompt, 1, &sampling, print_text, NULL, &result, &error)) {
    return fail(error);
  }
  tenon_result_ids(result, &count);
  tenon_result_seconds(result, NULL, &first_token, &total);
  fprintf(stderr, "\n%lu tokens in %.3f s, the first after %.3f s\n", (unsigned long)count, total,
          first_token);
  tenon_result_free(result);
  return 0;
}

int main(int argc, char** argv) {
  tenon_error* error = NULL;
  tenon_plan* plan = NULL;
  tenon_llm* llm = NULL;
  int code;

  if (argc < 3) {
    fprintf(stderr, "usage: %s PLAN TEXT [MAX_NEW_TOKENS]\nTenon %s\n", argv[0], tenon_version());
    return TENON_USAGE;
  }
  if (tenon_plan_open(argv[1], &plan, &error)) return fail(error);
  if (tenon_llm_create(plan, NULL, &llm, &error)) {
    tenon_plan_close(plan);
    return fail(error);
  }
  code = generate(llm, argv[2], argc > 3 ? atoll(argv[3]) : 64);
  tenon_llm_destroy(llm);
  tenon_plan_close(plan);
  return code;
}
