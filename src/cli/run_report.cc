#include "cli/run_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace tenon::cli {
namespace {

using data::Json;

struct Speed {
  int64_t prompt_tokens = 0, new_tokens = 0;
  double first_token = 0;  // seconds, mean over the prompts
  double prompt_rate = 0, new_rate = 0;
};

double rate(int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

// One prompt: its text is read until the first token, the others are made after it. Several share
// the steps, so both rates are over the whole time.
Speed speed_of(const RunReport& report) {
  Speed speed;
  for (const llm::Result& result : report.results) {
    speed.prompt_tokens += result.prompt_tokens;
    speed.new_tokens += static_cast<int64_t>(result.ids.size());
    speed.first_token += result.timings.first_token / static_cast<double>(report.results.size());
  }
  bool alone = report.results.size() == 1;
  double prompt_seconds = alone ? speed.first_token : report.seconds;
  double new_seconds = alone ? report.seconds - speed.first_token : report.seconds;
  speed.prompt_rate = rate(speed.prompt_tokens, prompt_seconds);
  speed.new_rate = rate(std::max<int64_t>(speed.new_tokens - (alone ? 1 : 0), 0), new_seconds);
  return speed;
}

Json to_json(const llm::Result& result) {
  Json ids = Json::array(), logprobs = Json::array();
  for (int32_t id : result.ids) ids.push_back(id);
  for (float value : result.logprobs) logprobs.push_back(static_cast<double>(value));
  Json json = Json::object();
  json.set("text", result.text).set("ids", std::move(ids)).set("logprobs", std::move(logprobs));
  json.set("finish_reason", llm::finish_reason_name(result.finish_reason));
  json.set("prompt_tokens", result.prompt_tokens);
  json.set("new_tokens", static_cast<int64_t>(result.ids.size()));
  json.set("queued_seconds", result.timings.queued);
  json.set("first_token_seconds", result.timings.first_token);
  json.set("total_seconds", result.timings.total);
  return json;
}

}  // namespace

std::string speed_line(const RunReport& report) {
  Speed speed = speed_of(report);
  std::string many =
      report.results.size() == 1 ? "" : fmt::format("{} prompts together: ", report.results.size());
  return fmt::format(
      "{}{} prompt tokens at {:.1f} /s, {} new tokens at {:.1f} /s, first token after {}{}; "
      "loaded in {}",
      many, speed.prompt_tokens, speed.prompt_rate, speed.new_tokens, speed.new_rate,
      format_seconds(speed.first_token), many.empty() ? "" : " (mean)",
      format_seconds(report.load_seconds));
}

Json to_json(const RunReport& report, const std::vector<Prompt>& prompts) {
  Json results = Json::array();
  for (size_t i = 0; i < report.results.size(); ++i) {
    Json entry = to_json(report.results[i]);
    if (!prompts[i].text.empty()) entry.set("prompt", prompts[i].text);
    results.push_back(std::move(entry));
  }
  Speed speed = speed_of(report);
  Json figures = Json::object();
  figures.set("load_seconds", report.load_seconds).set("seconds", report.seconds);
  figures.set("prompt_tokens", speed.prompt_tokens).set("new_tokens", speed.new_tokens);
  figures.set("prompt_tokens_per_second", speed.prompt_rate);
  figures.set("new_tokens_per_second", speed.new_rate);
  figures.set("first_token_seconds", speed.first_token);
  Json json = Json::object();
  json.set("results", std::move(results)).set("speed", std::move(figures));
  return json;
}

std::string one_line(std::string_view text) {
  std::string out;
  for (char byte : text) {
    if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\\') {
      out += "\\\\";
    } else if (byte == '\r') {
      out += "\\r";
    } else {
      out += byte;
    }
  }
  return out;
}

}  // namespace tenon::cli
