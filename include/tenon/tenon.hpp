// C++17 over the C interface: owners, exceptions and standard containers. Header only; what
// tenon.h says about threads and lifetimes holds here too.
#ifndef TENON_TENON_HPP
#define TENON_TENON_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tenon/tenon.h"

namespace tenon {
// Its own inline namespace, so that nothing here can meet a class of the library when linked.
inline namespace api {

// An error of the library. what() is one line with everything.
class Error : public std::runtime_error {
 public:
  explicit Error(const tenon_error* error)
      : std::runtime_error(tenon_error_message(error)),
        code_(tenon_error_code(error)),
        where_(tenon_error_where(error)),
        problem_(tenon_error_problem(error)),
        fix_(tenon_error_fix(error)) {}
  Error(tenon_code code, const std::string& message)
      : std::runtime_error(message), code_(code), problem_(message) {}

  tenon_code code() const { return code_; }
  const std::string& where() const { return where_; }
  const std::string& problem() const { return problem_; }
  const std::string& fix() const { return fix_; }

 private:
  tenon_code code_;
  std::string where_, problem_, fix_;
};

namespace detail {

// Calls call(tenon_error**) and throws what it reports.
template <class Call>
void check(Call&& call) {
  tenon_error* error = nullptr;
  tenon_code code = call(&error);
  if (code == TENON_OK) return;
  if (!error) throw Error(code, tenon_code_name(code));
  Error copy(error);
  tenon_error_free(error);
  throw copy;
}

struct Free {
  void operator()(void* memory) const { tenon_free(memory); }
};
struct ClosePlan {
  void operator()(tenon_plan* plan) const { tenon_plan_close(plan); }
};
struct DestroyLlm {
  void operator()(tenon_llm* llm) const { tenon_llm_destroy(llm); }
};
struct FreeResult {
  void operator()(tenon_result* result) const { tenon_result_free(result); }
};

}  // namespace detail

inline std::string version() {
  return tenon_version();
}

// An opened plan. Any number of threads may use one at once.
class Plan {
 public:
  explicit Plan(const std::string& path) {
    tenon_plan* plan = nullptr;
    detail::check([&](tenon_error** e) { return tenon_plan_open(path.c_str(), &plan, e); });
    plan_.reset(plan);
  }

  std::string info_json() const {
    char* json = nullptr;
    detail::check([&](tenon_error** e) { return tenon_plan_info_json(get(), &json, e); });
    std::unique_ptr<char, detail::Free> owner(json);
    return json;
  }

  std::vector<int32_t> tokenize(std::string_view text,
                                uint32_t flags = TENON_TEXT_ADD_SPECIAL) const {
    int32_t* ids = nullptr;
    size_t count = 0;
    detail::check([&](tenon_error** e) {
      return tenon_tokenize(get(), text.data(), text.size(), flags, &ids, &count, e);
    });
    std::unique_ptr<int32_t, detail::Free> owner(ids);
    return std::vector<int32_t>(ids, ids + count);
  }

  std::string detokenize(const std::vector<int32_t>& ids) const {
    char* text = nullptr;
    size_t bytes = 0;
    detail::check([&](tenon_error** e) {
      return tenon_detokenize(get(), ids.data(), ids.size(), &text, &bytes, e);
    });
    std::unique_ptr<char, detail::Free> owner(text);
    return std::string(text, bytes);
  }

  const tenon_plan* get() const { return plan_.get(); }

 private:
  std::unique_ptr<tenon_plan, detail::ClosePlan> plan_;
};

// A run of prompt positions.
class Segment {
 public:
  static Segment ids(std::vector<int32_t> ids) {
    Segment segment(TENON_SEGMENT_IDS, 0);
    segment.ids_ = std::move(ids);
    return segment;
  }
  // TENON_TEXT_ADD_SPECIAL belongs to the first text of a prompt only.
  static Segment text(std::string text, uint32_t flags = TENON_TEXT_ADD_SPECIAL) {
    Segment segment(TENON_SEGMENT_TEXT, flags);
    segment.text_ = std::move(text);
    return segment;
  }
  // float [rows][width], row after row; width is the model's hidden size.
  static Segment embeddings(std::vector<float> values, size_t width) {
    if (width == 0 || values.size() % width != 0) {
      throw Error(TENON_USAGE, "embeddings are not whole rows of that width");
    }
    Segment segment(TENON_SEGMENT_EMBEDDINGS, 0);
    segment.embeddings_ = std::make_shared<const std::vector<float>>(std::move(values));
    segment.width_ = width;
    return segment;
  }

  // Borrows from this object.
  tenon_segment view() const {
    tenon_segment out{};
    out.kind = kind_;
    out.flags = flags_;
    if (kind_ == TENON_SEGMENT_IDS) {
      out.data = ids_.data();
      out.count = ids_.size();
    } else if (kind_ == TENON_SEGMENT_TEXT) {
      out.data = text_.data();
      out.count = text_.size();
    } else {
      out.data = embeddings_->data();
      out.count = embeddings_->size() / width_;
      out.width = width_;
    }
    return out;
  }

 private:
  Segment(int32_t kind, uint32_t flags) : kind_(kind), flags_(flags) {}
  int32_t kind_;
  uint32_t flags_;
  std::vector<int32_t> ids_;
  std::string text_;
  std::shared_ptr<const std::vector<float>> embeddings_;
  size_t width_ = 0;
};

// How tokens are drawn and when to stop; greedy by default. Fields as in tenon_sampling.
struct Sampling {
  double temperature = 0;
  int64_t top_k = 0;
  double top_p = 1;
  double repetition_penalty = 1;
  uint64_t seed = 0;
  int64_t max_new_tokens = 0;
  std::vector<int32_t> stop_ids;
  std::vector<std::string> stop_strings;
  bool ignore_eos = false;
};

struct Result {
  std::vector<int32_t> ids;
  std::vector<float> logprobs;
  std::string text;
  int32_t finish_reason = TENON_FINISH_LENGTH;
  int64_t prompt_tokens = 0;
  double queued_seconds = 0, first_token_seconds = 0, total_seconds = 0;

  Result() = default;
  explicit Result(const tenon_result* result) {
    size_t count = 0, bytes = 0;
    const int32_t* first_id = tenon_result_ids(result, &count);
    ids.assign(first_id, first_id + count);
    const float* first_logprob = tenon_result_logprobs(result, &count);
    logprobs.assign(first_logprob, first_logprob + count);
    const char* characters = tenon_result_text(result, &bytes);
    text.assign(characters, bytes);
    finish_reason = tenon_result_finish_reason(result);
    prompt_tokens = tenon_result_prompt_tokens(result);
    tenon_result_seconds(result, &queued_seconds, &first_token_seconds, &total_seconds);
  }
};

// Everything here is borrowed for the call.
struct Update {
  uint64_t request = 0;
  std::string_view text;
  std::optional<int32_t> token;
  const Result* result = nullptr;  // in the last update
};
// False cancels the request.
using UpdateFunction = std::function<bool(const Update&)>;

struct LlmOptions {
  std::string device = "cpu";
  // 0: the defaults of tenon_llm_options.
  int64_t max_batch_size = 0, max_seq_len = 0, cache_bytes = 0, cache_blocks = 0, block_size = 0,
          max_num_tokens = 0;
};

// A language model. One thread at a time.
class Llm {
 public:
  explicit Llm(const Plan& plan, const LlmOptions& options = LlmOptions()) {
    tenon_llm_options given{};
    given.struct_size = sizeof(given);
    given.device = options.device.c_str();
    given.max_batch_size = options.max_batch_size;
    given.max_seq_len = options.max_seq_len;
    given.cache_bytes = options.cache_bytes;
    given.cache_blocks = options.cache_blocks;
    given.block_size = options.block_size;
    given.max_num_tokens = options.max_num_tokens;
    tenon_llm* llm = nullptr;
    detail::check([&](tenon_error** e) { return tenon_llm_create(plan.get(), &given, &llm, e); });
    llm_.reset(llm);
  }

  Sampling default_sampling() const {
    tenon_sampling given = TENON_SAMPLING_GREEDY;
    detail::check(
        [&](tenon_error** e) { return tenon_llm_default_sampling(llm_.get(), &given, e); });
    Sampling sampling;
    sampling.temperature = given.temperature;
    sampling.top_k = given.top_k;
    sampling.top_p = given.top_p;
    sampling.repetition_penalty = given.repetition_penalty;
    sampling.max_new_tokens = given.max_new_tokens;
    return sampling;
  }

  // Runs one request to its end. An exception of `update` cancels the request and comes out here.
  Result generate(const std::vector<Segment>& prompt, const Sampling& sampling,
                  UpdateFunction update = {}) {
    Job job{std::move(update), {}, {}, nullptr};
    Arguments arguments(prompt, sampling);
    tenon_result* result = nullptr;
    detail::check([&](tenon_error** e) {
      return tenon_llm_generate(llm_.get(), arguments.segments.data(), arguments.segments.size(),
                                &arguments.sampling, &Llm::on_update, &job, &result, e);
    });
    std::unique_ptr<tenon_result, detail::FreeResult> owner(result);
    if (job.exception) std::rethrow_exception(job.exception);
    return Result(result);
  }
  Result generate(const std::string& text, const Sampling& sampling, UpdateFunction update = {}) {
    return generate({Segment::text(text)}, sampling, std::move(update));
  }

  // Many requests at once: submit each, then step until it returns false.
  uint64_t submit(std::vector<Segment> prompt, const Sampling& sampling, UpdateFunction update) {
    auto job = std::make_unique<Job>(Job{std::move(update), std::move(prompt), this, nullptr});
    Arguments arguments(job->prompt, sampling);
    uint64_t request = 0;
    detail::check([&](tenon_error** e) {
      return tenon_llm_submit(llm_.get(), arguments.segments.data(), arguments.segments.size(),
                              &arguments.sampling, &Llm::on_update, job.get(), &request, e);
    });
    jobs_.emplace(request, std::move(job));
    return request;
  }
  // An exception of an update cancels its request and comes out here.
  bool step() {
    int32_t busy = 0;
    detail::check([&](tenon_error** e) { return tenon_llm_step(llm_.get(), &busy, e); });
    ended_.clear();
    if (exception_) std::rethrow_exception(std::exchange(exception_, nullptr));
    return busy != 0;
  }
  void cancel(uint64_t request) {
    detail::check([&](tenon_error** e) { return tenon_llm_cancel(llm_.get(), request, e); });
  }

  // Requests refer to this object.
  Llm(const Llm&) = delete;
  Llm& operator=(const Llm&) = delete;

 private:
  struct Job {
    UpdateFunction update;
    std::vector<Segment> prompt;  // keeps embeddings alive
    Llm* owner = nullptr;         // of a submitted request
    std::exception_ptr exception;
  };

  // The C form of a request, borrowing from the C++ one.
  struct Arguments {
    Arguments(const std::vector<Segment>& prompt, const Sampling& from) {
      for (const Segment& segment : prompt) segments.push_back(segment.view());
      for (const std::string& stop : from.stop_strings) stop_strings.push_back(stop.c_str());
      sampling.temperature = from.temperature;
      sampling.top_k = from.top_k;
      sampling.top_p = from.top_p;
      sampling.repetition_penalty = from.repetition_penalty;
      sampling.seed = from.seed;
      sampling.max_new_tokens = from.max_new_tokens;
      sampling.stop_ids = from.stop_ids.data();
      sampling.stop_id_count = from.stop_ids.size();
      sampling.stop_strings = stop_strings.data();
      sampling.stop_string_count = stop_strings.size();
      sampling.ignore_eos = from.ignore_eos ? 1 : 0;
    }
    std::vector<tenon_segment> segments;
    std::vector<const char*> stop_strings;
    tenon_sampling sampling = TENON_SAMPLING_GREEDY;
  };

  static int32_t on_update(void* user, const tenon_update* update) {
    Job& job = *static_cast<Job*>(user);
    int32_t stop = 0;
    try {
      if (job.update) stop = call(job.update, *update) ? 0 : 1;
    } catch (...) {
      std::exception_ptr& place = job.owner ? job.owner->exception_ : job.exception;
      if (!place) place = std::current_exception();
      job.update = nullptr;
      stop = 1;
    }
    if (update->result && job.owner) job.owner->retire(update->request);
    return stop;
  }
  static bool call(const UpdateFunction& function, const tenon_update& update) {
    Update out;
    out.request = update.request;
    out.text = std::string_view(update.text, update.text_bytes);
    if (update.token >= 0) out.token = update.token;
    if (!update.result) return function(out);
    Result result(update.result);
    out.result = &result;
    return function(out);
  }
  // The job is in use until its last callback has returned.
  void retire(uint64_t request) {
    auto found = jobs_.find(request);
    if (found == jobs_.end()) return;
    ended_.push_back(std::move(found->second));
    jobs_.erase(found);
  }

  std::map<uint64_t, std::unique_ptr<Job>> jobs_;
  std::vector<std::unique_ptr<Job>> ended_;
  std::exception_ptr exception_;
  std::unique_ptr<tenon_llm, detail::DestroyLlm> llm_;  // goes first: it refers to the jobs
};

}  // namespace api
}  // namespace tenon

#endif  // TENON_TENON_HPP
