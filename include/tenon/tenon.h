/* The C interface of Tenon: open a plan, run its language model.
 *
 * Errors. Every function that can fail returns a tenon_code: TENON_OK (0), or the code that the
 * command line uses as its exit code. Where `error` is not NULL, *error is set to NULL on success,
 * else to an error that the caller frees. Nothing is ever thrown or longjmp-ed through this
 * interface, and a callback must not do so either.
 *
 * Threads. Functions on different handles may run at the same time. A tenon_plan may be used by any
 * number of threads at once. A tenon_llm belongs to one thread at a time; a callback runs on the
 * thread that called tenon_llm_generate or tenon_llm_step, and must not use its tenon_llm except
 * through tenon_llm_submit and tenon_llm_cancel.
 *
 * Lifetime. A tenon_llm keeps what it needs of its plan, so a plan may be closed first. Every
 * *_free, _close and _destroy accepts NULL.
 *
 * Growth. Structs that begin with struct_size may gain fields at their end: set it to sizeof the
 * struct; a library that is older refuses fields it does not know only where they are not zero.
 * tenon_abi_version() changes its major number (the value / 1000) when a binary must be rebuilt. */
#ifndef TENON_TENON_H
#define TENON_TENON_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define TENON_API __attribute__((visibility("default")))
#else
#define TENON_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define TENON_ABI_VERSION 1000
TENON_API int32_t tenon_abi_version(void);
TENON_API const char* tenon_version(void); /* "0.1.0" */

/* ---- Errors ---------------------------------------------------------------------------------- */

typedef int32_t tenon_code;
enum {
  TENON_OK = 0,
  TENON_INTERNAL = 1,     /* a bug in Tenon */
  TENON_USAGE = 2,        /* the call was misused */
  TENON_BAD_INPUT = 3,    /* a file or value from outside is wrong */
  TENON_UNSUPPORTED = 4,  /* valid, but Tenon cannot do it; or no such device */
  TENON_PROOF_FAILED = 5, /* a gate, comparison or evaluation missed its budget */
  TENON_OUT_OF_MEMORY = 6,
  TENON_WRONG_PLAN = 7, /* the plan lacks this stage, or its format version is not readable */
  TENON_IO = 8,
  TENON_DEVICE_FAULT = 9,
  TENON_INTERRUPTED = 130,
  TENON_TERMINATED = 143
};

typedef struct tenon_error tenon_error;
TENON_API tenon_code tenon_error_code(const tenon_error* error);
/* Text that lives as long as the error; "" where there is nothing to say, never NULL. */
TENON_API const char* tenon_error_message(const tenon_error* error); /* one line with everything */
TENON_API const char* tenon_error_where(const tenon_error* error);   /* file, node, argument */
TENON_API const char* tenon_error_problem(const tenon_error* error);
TENON_API const char* tenon_error_got(const tenon_error* error);
TENON_API const char* tenon_error_accepted(const tenon_error* error);
TENON_API const char* tenon_error_fix(const tenon_error* error); /* what to do about it */
TENON_API void tenon_error_free(tenon_error* error);
TENON_API const char* tenon_code_name(tenon_code code); /* "ok", "usage", "bad_input", ... */

/* Frees memory that a function of this interface returned through a pointer to a pointer. */
TENON_API void tenon_free(void* memory);

/* ---- Plans ----------------------------------------------------------------------------------- */

typedef struct tenon_plan tenon_plan;
/* Opens a plan file and verifies its structure. Running nothing from it; weights are mapped. */
TENON_API tenon_code tenon_plan_open(const char* path, tenon_plan** plan, tenon_error** error);
TENON_API void tenon_plan_close(tenon_plan* plan);
/* What the plan is and holds, as a JSON object. The caller frees *json with tenon_free. */
TENON_API tenon_code tenon_plan_info_json(const tenon_plan* plan, char** json, tenon_error** error);

/* ---- Text and tokens ------------------------------------------------------------------------- */

enum {
  /* Adds what the tokenizer puts around a text (a beginning-of-sequence token, say). */
  TENON_TEXT_ADD_SPECIAL = 1,
  /* "<|im_end|>" in the text becomes that token. Leave it out for text that a user wrote, which
   * could otherwise forge the boundaries of a chat. */
  TENON_TEXT_PARSE_SPECIAL = 2
};
/* text is UTF-8, text_bytes long. The caller frees *ids with tenon_free. */
TENON_API tenon_code tenon_tokenize(const tenon_plan* plan, const char* text, size_t text_bytes,
                                    uint32_t flags, int32_t** ids, size_t* id_count,
                                    tenon_error** error);
/* Leaves special tokens out. *text ends with a zero byte that *text_bytes (may be NULL) does not
 * count. The caller frees *text with tenon_free. */
TENON_API tenon_code tenon_detokenize(const tenon_plan* plan, const int32_t* ids, size_t id_count,
                                      char** text, size_t* text_bytes, tenon_error** error);

/* ---- Language models ------------------------------------------------------------------------- */

typedef struct tenon_llm tenon_llm;

/* Everything that is 0 or NULL takes its default, so {sizeof(tenon_llm_options)} is complete. */
typedef struct tenon_llm_options {
  size_t struct_size;
  const char* device;     /* "cpu" (default), "cuda", "cuda:1" */
  int64_t max_batch_size; /* sequences that run at once; default: the plan's */
  int64_t max_seq_len;    /* positions of one sequence; default: the plan's */
  int64_t cache_bytes;    /* at most this much for the KV cache, or */
  int64_t cache_blocks;   /* this many blocks; default: max_batch_size full sequences */
  int64_t block_size;     /* positions of a cache block; default 16; -1: one block a sequence */
  int64_t max_num_tokens; /* of all sequences in one step; default 512 */
} tenon_llm_options;

/* options may be NULL. */
TENON_API tenon_code tenon_llm_create(const tenon_plan* plan, const tenon_llm_options* options,
                                      tenon_llm** llm, tenon_error** error);
/* Requests that have not ended are dropped without a last update. */
TENON_API void tenon_llm_destroy(tenon_llm* llm);

/* A run of prompt positions. */
enum { TENON_SEGMENT_IDS = 0, TENON_SEGMENT_TEXT = 1, TENON_SEGMENT_EMBEDDINGS = 2 };
typedef struct tenon_segment {
  int32_t kind;
  uint32_t flags;   /* of a text: TENON_TEXT_...; else 0 */
  const void* data; /* int32_t[count]; UTF-8 of count bytes; float[count][width] */
  size_t count;
  size_t width; /* of embeddings: the model's hidden size; else 0 */
} tenon_segment;

/* How tokens are drawn and when to stop. Begin with TENON_SAMPLING_GREEDY or
 * tenon_llm_default_sampling. */
typedef struct tenon_sampling {
  size_t struct_size;
  double temperature;        /* 0: greedy */
  int64_t top_k;             /* 0: off */
  double top_p;              /* 1: off */
  double repetition_penalty; /* 1: off */
  uint64_t seed;
  int64_t max_new_tokens;  /* 0: until the sequence is full */
  const int32_t* stop_ids; /* besides the plan's end-of-sequence ids */
  size_t stop_id_count;
  const char* const* stop_strings; /* neither they nor text after them is ever shown */
  size_t stop_string_count;
  int32_t ignore_eos; /* not 0: the plan's end-of-sequence ids do not end a request */
  int32_t reserved;   /* 0 */
} tenon_sampling;
#define TENON_SAMPLING_GREEDY \
  { sizeof(tenon_sampling), 0.0, 0, 1.0, 1.0, 0, 0, NULL, 0, NULL, 0, 0, 0 }

/* The plan's sampling defaults. Set sampling->struct_size first. */
TENON_API tenon_code tenon_llm_default_sampling(const tenon_llm* llm, tenon_sampling* sampling,
                                                tenon_error** error);

enum {
  TENON_FINISH_STOP = 0,        /* an end-of-sequence or stop id */
  TENON_FINISH_LENGTH = 1,      /* max_new_tokens, or the sequence is full */
  TENON_FINISH_STOP_STRING = 2, /* a stop string */
  TENON_FINISH_CANCELLED = 3
};

/* What a request brought. Pointers live as long as the result. */
typedef struct tenon_result tenon_result;
/* UTF-8 with a zero byte at its end; *bytes (may be NULL) does not count that. */
TENON_API const char* tenon_result_text(const tenon_result* result, size_t* bytes);
/* Every token drawn, the one that stopped it included. */
TENON_API const int32_t* tenon_result_ids(const tenon_result* result, size_t* count);
/* One an id: its log probability before penalties and temperature. */
TENON_API const float* tenon_result_logprobs(const tenon_result* result, size_t* count);
TENON_API int32_t tenon_result_finish_reason(const tenon_result* result);
TENON_API int64_t tenon_result_prompt_tokens(const tenon_result* result);
/* Seconds from submit until: the first step began, the first token was drawn, the end. Each pointer
 * may be NULL. */
TENON_API void tenon_result_seconds(const tenon_result* result, double* queued, double* first_token,
                                    double* total);
TENON_API void tenon_result_free(tenon_result* result);

/* What one step brought for one request; everything is borrowed for the call. The library makes
 * it, so fields may be added at its end. */
typedef struct tenon_update {
  size_t struct_size;
  uint64_t request;
  const char* text; /* new text that is certain, with a zero byte at its end */
  size_t text_bytes;
  int32_t token; /* drawn in this step; -1: none */
  int32_t reserved;
  const tenon_result* result; /* in the last update of a request, else NULL. Not to be freed */
} tenon_update;
/* Return 0 to go on; anything else cancels the request, which then gets one last update. */
typedef int32_t (*tenon_update_callback)(void* user, const tenon_update* update);

/* Runs one request to its end. sampling NULL: the plan's defaults. callback may be NULL. Where
 * result is not NULL, the caller frees *result. */
TENON_API tenon_code tenon_llm_generate(tenon_llm* llm, const tenon_segment* segments,
                                        size_t segment_count, const tenon_sampling* sampling,
                                        tenon_update_callback callback, void* user,
                                        tenon_result** result, tenon_error** error);

/* Many requests at once: submit each, then step until *busy is 0. What the segments point to is
 * copied, except embeddings, which must stay valid until the request's last update. `request` may
 * be NULL. */
TENON_API tenon_code tenon_llm_submit(tenon_llm* llm, const tenon_segment* segments,
                                      size_t segment_count, const tenon_sampling* sampling,
                                      tenon_update_callback callback, void* user, uint64_t* request,
                                      tenon_error** error);
TENON_API tenon_code tenon_llm_step(tenon_llm* llm, int32_t* busy, tenon_error** error);
/* Takes effect with the next step. A request that has ended or never was is ignored. */
TENON_API tenon_code tenon_llm_cancel(tenon_llm* llm, uint64_t request, tenon_error** error);

#ifdef __cplusplus
}
#endif

#endif /* TENON_TENON_H */
