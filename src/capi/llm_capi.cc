// The C ABI: language models.
#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "capi/guard.h"
#include "capi/plan_handle.h"
#include "pipelines/llm/engine.h"
#include "tenon/tenon.h"

using tenon::Error;
using tenon::ErrorCode;
using tenon::capi::encode_options;
using tenon::capi::guarded;
using tenon::capi::need;
using tenon::capi::need_array;
using tenon::llm::FinishReason;

struct tenon_llm {
  std::unique_ptr<tenon::llm::Engine> engine;
};

struct tenon_result {
  tenon::llm::Result result;
};

namespace {

static_assert(TENON_FINISH_STOP == static_cast<int>(FinishReason::Stop));
static_assert(TENON_FINISH_LENGTH == static_cast<int>(FinishReason::Length));
static_assert(TENON_FINISH_STOP_STRING == static_cast<int>(FinishReason::StopString));
static_assert(TENON_FINISH_CANCELLED == static_cast<int>(FinishReason::Cancelled));

// Sizes of the structs as version 1000 published them.
constexpr size_t kOptionsSize = sizeof(tenon_llm_options), kSamplingSize = sizeof(tenon_sampling);

tenon::llm::EngineOptions engine_options(const tenon_llm_options* options) {
  tenon::llm::EngineOptions out;
  if (!options) return out;
  tenon_llm_options given = tenon::capi::read_struct(*options, kOptionsSize, "options");
  if (given.device) out.device = tenon::device::DeviceId::parse(given.device);
  out.max_batch_size = given.max_batch_size;
  out.max_seq_len = given.max_seq_len;
  out.cache_bytes = given.cache_bytes;
  out.cache_blocks = given.cache_blocks;
  if (given.block_size != 0) out.block_size = given.block_size == -1 ? 0 : given.block_size;
  if (given.max_num_tokens != 0) out.max_num_tokens = given.max_num_tokens;
  return out;
}

tenon::llm::SamplingParams sampling_params(const tenon_sampling& sampling) {
  tenon_sampling given = tenon::capi::read_struct(sampling, kSamplingSize, "sampling");
  tenon::llm::SamplingParams params;
  params.temperature = given.temperature;
  params.top_k = given.top_k;
  params.top_p = given.top_p;
  params.repetition_penalty = given.repetition_penalty;
  params.seed = given.seed;
  params.max_new_tokens = given.max_new_tokens;
  auto ids = need_array(given.stop_ids, given.stop_id_count, "stop_ids");
  params.stop_ids.assign(ids.begin(), ids.end());
  auto strings = need_array(given.stop_strings, given.stop_string_count, "stop_strings");
  for (const char* text : strings) params.stop_strings.emplace_back(&need(text, "stop_strings"));
  params.ignore_eos = given.ignore_eos != 0;
  return params;
}

const tenon::text::Tokenizer& need_tokenizer(const tenon_llm& llm) {
  if (llm.engine->tokenizer()) return *llm.engine->tokenizer();
  throw Error(ErrorCode::WrongPlan, "the plan carries no tokenizer").fix("give token ids");
}

tenon::llm::Segment embedding_segment(const tenon_segment& given) {
  const auto* data = static_cast<const float*>(given.data);
  // The width comes from the caller, so that embeddings of another model are seen, not read past.
  tenon::Extents extents{static_cast<int64_t>(given.count), static_cast<int64_t>(given.width)};
  tenon::TensorView view(data, tenon::DType::F32, extents);
  return tenon::llm::Segment::borrow_embeddings(view);
}

tenon::llm::Segment read_segment(const tenon_llm& llm, const tenon_segment& given) {
  if (given.count > 0) need(static_cast<const char*>(given.data), "data");
  switch (given.kind) {
    case TENON_SEGMENT_IDS: {
      const auto* ids = static_cast<const int32_t*>(given.data);
      return tenon::llm::Segment::of_ids(std::vector<int32_t>(ids, ids + given.count));
    }
    case TENON_SEGMENT_TEXT: {
      std::string_view text(static_cast<const char*>(given.data), given.count);
      return tenon::llm::Segment::of_ids(
          need_tokenizer(llm).encode(text, encode_options(given.flags)));
    }
    case TENON_SEGMENT_EMBEDDINGS:
      return embedding_segment(given);
    default:
      throw Error(ErrorCode::Usage, "unknown kind of segment").got(std::to_string(given.kind));
  }
}

tenon::llm::Request read_request(const tenon_llm& llm, std::span<const tenon_segment> segments,
                                 const tenon_sampling* sampling) {
  tenon::llm::Request request;
  request.sampling = sampling ? sampling_params(*sampling) : llm.engine->defaults();
  for (size_t i = 0; i < segments.size(); ++i) {
    try {
      request.prompt.push_back(read_segment(llm, segments[i]));
    } catch (Error& error) {
      error.within("segment " + std::to_string(i));
      throw;
    }
  }
  return request;
}

// Hands updates to a C callback. A borrowed result is a copy that lives for the call.
class CallbackBridge {
 public:
  CallbackBridge(tenon::llm::Engine& engine, tenon_update_callback callback, void* user)
      : engine_(&engine), callback_(callback), user_(user) {}

  void operator()(const tenon::llm::Update& update) {
    if (!callback_) return;
    text_.assign(update.text);
    std::unique_ptr<tenon_result> result;
    if (update.result) result.reset(new tenon_result{*update.result});
    tenon_update out{};
    out.struct_size = sizeof(out);
    out.request = update.id;
    out.text = text_.c_str();
    out.text_bytes = text_.size();
    out.token = update.token.value_or(-1);
    out.result = result.get();
    if (callback_(user_, &out) != 0 && !update.result) engine_->cancel(update.id);
  }

 private:
  tenon::llm::Engine* engine_;
  tenon_update_callback callback_;
  void* user_;
  std::string text_;
};

}  // namespace

tenon_code tenon_llm_create(const tenon_plan* plan, const tenon_llm_options* options,
                            tenon_llm** llm, tenon_error** error) {
  return guarded(error, [&] {
    tenon_llm*& out = need(llm, "llm");
    out = nullptr;
    auto made = std::make_unique<tenon_llm>();
    made->engine = tenon::llm::Engine::open(need(plan, "plan").file, engine_options(options));
    out = made.release();
  });
}

void tenon_llm_destroy(tenon_llm* llm) {
  delete llm;
}

tenon_code tenon_llm_default_sampling(const tenon_llm* llm, tenon_sampling* sampling,
                                      tenon_error** error) {
  return guarded(error, [&] {
    tenon_sampling& out = need(sampling, "sampling");
    size_t size = out.struct_size;
    if (size < kSamplingSize) tenon::capi::read_struct(out, kSamplingSize, "sampling");
    const tenon::llm::SamplingParams& defaults = need(llm, "llm").engine->defaults();
    tenon_sampling known = TENON_SAMPLING_GREEDY;
    known.temperature = defaults.temperature;
    known.top_k = defaults.top_k;
    known.top_p = defaults.top_p;
    known.repetition_penalty = defaults.repetition_penalty;
    known.max_new_tokens = defaults.max_new_tokens;
    known.struct_size = size;
    // A newer caller's fields that this library does not know are at their defaults: zero.
    std::memset(&out, 0, size);
    std::memcpy(&out, &known, std::min(size, sizeof(known)));
  });
}

tenon_code tenon_llm_generate(tenon_llm* llm, const tenon_segment* segments, size_t segment_count,
                              const tenon_sampling* sampling, tenon_update_callback callback,
                              void* user, tenon_result** result, tenon_error** error) {
  return guarded(error, [&] {
    if (result) *result = nullptr;
    tenon_llm& model = need(llm, "llm");
    auto given = need_array(segments, segment_count, "segments");
    tenon::llm::Request request = read_request(model, given, sampling);
    auto made = std::make_unique<tenon_result>();
    made->result =
        model.engine->generate(std::move(request), CallbackBridge(*model.engine, callback, user));
    if (result) *result = made.release();
  });
}

tenon_code tenon_llm_submit(tenon_llm* llm, const tenon_segment* segments, size_t segment_count,
                            const tenon_sampling* sampling, tenon_update_callback callback,
                            void* user, uint64_t* request, tenon_error** error) {
  return guarded(error, [&] {
    tenon_llm& model = need(llm, "llm");
    auto given = need_array(segments, segment_count, "segments");
    uint64_t id = model.engine->submit(read_request(model, given, sampling),
                                       CallbackBridge(*model.engine, callback, user));
    if (request) *request = id;
  });
}

tenon_code tenon_llm_step(tenon_llm* llm, int32_t* busy, tenon_error** error) {
  return guarded(error, [&] {
    int32_t& out = need(busy, "busy");
    out = need(llm, "llm").engine->step() ? 1 : 0;
  });
}

tenon_code tenon_llm_cancel(tenon_llm* llm, uint64_t request, tenon_error** error) {
  return guarded(error, [&] { need(llm, "llm").engine->cancel(request); });
}

const char* tenon_result_text(const tenon_result* result, size_t* bytes) {
  if (bytes) *bytes = result ? result->result.text.size() : 0;
  return result ? result->result.text.c_str() : "";
}
const int32_t* tenon_result_ids(const tenon_result* result, size_t* count) {
  if (count) *count = result ? result->result.ids.size() : 0;
  return result ? result->result.ids.data() : nullptr;
}
const float* tenon_result_logprobs(const tenon_result* result, size_t* count) {
  if (count) *count = result ? result->result.logprobs.size() : 0;
  return result ? result->result.logprobs.data() : nullptr;
}
int32_t tenon_result_finish_reason(const tenon_result* result) {
  return result ? static_cast<int32_t>(result->result.finish_reason) : TENON_FINISH_CANCELLED;
}
int64_t tenon_result_prompt_tokens(const tenon_result* result) {
  return result ? result->result.prompt_tokens : 0;
}
void tenon_result_seconds(const tenon_result* result, double* queued, double* first_token,
                          double* total) {
  tenon::llm::Timings timings = result ? result->result.timings : tenon::llm::Timings{};
  if (queued) *queued = timings.queued;
  if (first_token) *first_token = timings.first_token;
  if (total) *total = timings.total;
}
void tenon_result_free(tenon_result* result) {
  delete result;
}
