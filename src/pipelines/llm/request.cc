#include "pipelines/llm/request.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"

namespace tenon::llm {
namespace {

// Below this, logits divided by the temperature overflow f32.
constexpr double kLeastTemperature = 1e-5;
constexpr double kMostTemperature = 100, kMostPenalty = 100;
constexpr int64_t kTransformersTopK = 50;

void check_range(Problems& problems, std::string_view name, double value, bool ok,
                 std::string_view accepted) {
  // NaN fails every comparison, so `ok` is written to be false for it.
  if (ok) return;
  problems.add(Error(ErrorCode::Usage, "sampling parameter is out of range")
                   .at(name)
                   .got(format_double(value))
                   .accepted(accepted));
}

void check_stops(Problems& problems, const SamplingParams& params) {
  for (int32_t id : params.stop_ids) {
    check_range(problems, "stop_ids", id, id >= 0, "ids of at least 0");
  }
  auto count = static_cast<int64_t>(params.stop_strings.size());
  check_range(problems, "stop_strings", static_cast<double>(count), count <= kLimits.stop_strings,
              "at most " + std::to_string(kLimits.stop_strings));
  for (const std::string& stop : params.stop_strings) {
    if (!stop.empty() && is_valid_utf8(stop)) continue;
    problems.add(Error(ErrorCode::Usage, "a stop string must be UTF-8 text, and not empty")
                     .at("stop_strings")
                     .got(stop));
  }
}

bool is_plain(const data::Json& value, double plain) {
  if (value.is_null()) return true;
  if (value.is_bool()) return !value.as_bool("") && plain == 0;
  if (value.is_array()) return value.as_array("").empty();
  return value.is_number() && value.as_double("") == plain;
}

}  // namespace

Segment Segment::of_ids(std::vector<int32_t> ids) {
  Segment segment;
  segment.ids_ = std::move(ids);
  return segment;
}

Segment Segment::of_embeddings(Tensor embeddings) {
  auto owned = std::make_shared<const Tensor>(std::move(embeddings));
  Segment segment = borrow_embeddings(owned->view());
  segment.owned_ = std::move(owned);
  return segment;
}

Segment Segment::borrow_embeddings(const TensorView& embeddings) {
  if (embeddings.dtype != DType::F32 || embeddings.rank() != 2 || !embeddings.is_contiguous()) {
    throw Error(ErrorCode::Usage, "given embeddings have the wrong form")
        .got(std::string(dtype_name(embeddings.dtype)) + embeddings.extents.to_string())
        .accepted("contiguous f32[tokens, hidden]");
  }
  Segment segment;
  segment.embeddings_ = embeddings;
  segment.has_embeddings_ = true;
  return segment;
}

int64_t Segment::tokens() const {
  return has_embeddings_ ? embeddings_.extents[0] : static_cast<int64_t>(ids_.size());
}

void SamplingParams::validate() const {
  Problems problems;
  check_range(
      problems, "temperature", temperature,
      temperature == 0 || (temperature >= kLeastTemperature && temperature <= kMostTemperature),
      "0 (greedy), or 0.00001 to 100");
  check_range(problems, "top_k", static_cast<double>(top_k),
              top_k >= 0 && top_k <= std::numeric_limits<int32_t>::max(), "0 (off) or more");
  check_range(problems, "top_p", top_p, top_p >= 0 && top_p <= 1, "0 to 1 (off)");
  check_range(problems, "repetition_penalty", repetition_penalty,
              repetition_penalty > 0 && repetition_penalty <= kMostPenalty,
              "above 0, at most 100; 1 is off");
  check_range(problems, "max_new_tokens", static_cast<double>(max_new_tokens), max_new_tokens >= 0,
              "0 (until the sequence is full) or more");
  check_stops(problems, *this);
  problems.throw_if_any();
}

SamplingParams SamplingParams::from_generation(const data::Json& generation) {
  SamplingParams params;
  if (generation.get_bool("do_sample", false)) {
    params.temperature = generation.get_double("temperature", 1.0);
    const data::Json* top_k = generation.find("top_k");
    params.top_k = top_k && top_k->is_null() ? 0 : generation.get_int("top_k", kTransformersTopK);
    params.top_p = generation.get_double("top_p", 1.0);
  }
  params.repetition_penalty = generation.get_double("repetition_penalty", 1.0);
  params.max_new_tokens = generation.get_int("max_new_tokens", 0);
  try {
    params.validate();
  } catch (const Error& error) {
    // Here the numbers are the plan's, not the caller's.
    throw Error(ErrorCode::BadInput, error.problem())
        .at("generation")
        .at(error.place())
        .got(error.got())
        .accepted(error.accepted());
  }
  return params;
}

std::vector<std::string> unfollowed_generation_fields(const data::Json& generation) {
  // Each with the value at which it does nothing.
  constexpr std::pair<std::string_view, double> kFields[] = {
      {"num_beams", 1},
      {"num_beam_groups", 1},
      {"penalty_alpha", 0},
      {"min_p", 0},
      {"typical_p", 1},
      {"epsilon_cutoff", 0},
      {"eta_cutoff", 0},
      {"diversity_penalty", 0},
      {"encoder_repetition_penalty", 1},
      {"no_repeat_ngram_size", 0},
      {"bad_words_ids", 0},
      {"force_words_ids", 0},
      {"sequence_bias", 0},
      {"suppress_tokens", 0},
      {"begin_suppress_tokens", 0},
      {"forced_bos_token_id", -1},
      {"forced_eos_token_id", -1},
      {"exponential_decay_length_penalty", -1},
      {"min_length", 0},
      {"min_new_tokens", 0},
      {"guidance_scale", 1},
  };
  std::vector<std::string> fields;
  for (const auto& [name, plain] : kFields) {
    const data::Json* value = generation.find(name);
    if (value && !is_plain(*value, plain)) {
      fields.push_back(std::string(name) + " = " + value->dump());
    }
  }
  return fields;
}

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::Stop:
      return "stop";
    case FinishReason::Length:
      return "length";
    case FinishReason::StopString:
      return "stop_string";
    case FinishReason::Cancelled:
      return "cancelled";
  }
  return "cancelled";
}

}  // namespace tenon::llm
