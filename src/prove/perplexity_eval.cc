#include "prove/perplexity_eval.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "metrics/perplexity.h"

namespace tenon::prove {
namespace {

// One pass through the model: position i of `inputs` predicts targets[i]; the first `skip` are
// context only.
struct Window {
  std::vector<int32_t> inputs, targets;
  size_t skip = 0;
};

using Ids = std::span<const int32_t>;

std::vector<int32_t> copy(Ids ids) {
  return {ids.begin(), ids.end()};
}

void gptq_windows(const PerplexityTask& task, std::vector<Window>& windows) {
  Ids ids = task.texts.at(0).ids;
  auto length = static_cast<size_t>(task.window);
  for (size_t begin = 0; begin + length <= ids.size(); begin += length) {
    windows.push_back({.inputs = copy(ids.subspan(begin, length)),
                       .targets = copy(ids.subspan(begin + 1, length - 1))});
  }
  if (!windows.empty()) return;
  throw Error(ErrorCode::BadInput, "the text is shorter than one window")
      .got(std::to_string(ids.size()) + " tokens")
      .accepted("at least " + std::to_string(length))
      .fix("give a longer text or a smaller --window");
}

void document_windows(const PerplexityTask& task, std::vector<Window>& windows) {
  Problems problems;
  for (size_t i = 0; i < task.texts.size(); ++i) {
    Ids ids = task.texts[i].ids;
    if (ids.size() < 2) continue;
    if (static_cast<int64_t>(ids.size()) > task.window) {
      problems.add(Error(ErrorCode::BadInput, "text is longer than the window")
                       .at("text " + std::to_string(i + 1))
                       .got(std::to_string(ids.size()) + " tokens")
                       .accepted("at most " + std::to_string(task.window)));
      continue;
    }
    windows.push_back({.inputs = copy(ids), .targets = copy(ids.subspan(1))});
  }
  problems.throw_if_any();
}

// Every token is predicted once. Later windows are always full: they reach back for context, though
// only their last tokens are counted.
void lm_eval_windows(const PerplexityTask& task, std::vector<Window>& windows) {
  auto most = static_cast<size_t>(task.window);
  for (const PerplexityText& text : task.texts) {
    Ids ids = text.ids;
    if (ids.empty()) continue;
    size_t end = std::min(most, ids.size());
    Window first{.inputs = {task.prefix}, .targets = copy(ids.first(end))};
    first.inputs.insert(first.inputs.end(), ids.begin(), ids.begin() + end - 1);
    windows.push_back(std::move(first));
    while (end < ids.size()) {
      size_t count = std::min(most, ids.size() - end);
      end += count;
      windows.push_back({.inputs = copy(ids.subspan(end - most - 1, most)),
                         .targets = copy(ids.subspan(end - most, most)),
                         .skip = most - count});
    }
  }
}

std::vector<Window> windows_of(const PerplexityTask& task) {
  std::vector<Window> windows;
  if (task.convention == PerplexityConvention::Gptq) gptq_windows(task, windows);
  if (task.convention == PerplexityConvention::LmEval) lm_eval_windows(task, windows);
  if (task.convention == PerplexityConvention::Document) document_windows(task, windows);
  if (windows.empty()) throw Error(ErrorCode::BadInput, "the text has nothing to predict");
  auto most = static_cast<size_t>(task.most_windows);
  if (task.most_windows > 0 && windows.size() > most) windows.resize(most);
  return windows;
}

}  // namespace

std::string_view convention_name(PerplexityConvention convention) {
  if (convention == PerplexityConvention::Gptq) return "gptq";
  return convention == PerplexityConvention::LmEval ? "lm-eval" : "document";
}

PerplexityEval evaluate_perplexity(const PerplexityTask& task, const ForcedLogits& forced,
                                   Progress& progress) {
  if (task.convention == PerplexityConvention::LmEval && task.most_windows > 0) {
    throw Error(ErrorCode::Usage, "lm-eval divides by the words of whole pages")
        .at("--windows")
        .fix("leave it out, or use another --convention");
  }
  PerplexityEval eval;
  std::vector<Window> windows = windows_of(task);
  progress.begin("perplexity", static_cast<int64_t>(windows.size()));
  for (const Window& window : windows) {
    double sum = 0;  // of the window: a small one is not lost in that of all
    forced(window.inputs, [&](int64_t first, const TensorView& logits) {
      auto columns = static_cast<size_t>(logits.columns());
      for (size_t row = 0; row < static_cast<size_t>(logits.rows()); ++row) {
        size_t at = static_cast<size_t>(first) + row;
        if (at < window.skip || at >= window.targets.size()) continue;
        sum += metrics::negative_log_likelihood({logits.as<float>() + row * columns, columns},
                                                window.targets[at]);
      }
    });
    eval.negative_log_likelihood += sum;
    eval.tokens += static_cast<int64_t>(window.targets.size() - window.skip);
    progress.advance(++eval.windows);
  }
  progress.end();
  eval.perplexity = std::exp(eval.negative_log_likelihood / static_cast<double>(eval.tokens));
  if (task.convention == PerplexityConvention::Gptq) {
    eval.dropped = static_cast<int64_t>(task.texts[0].ids.size()) % task.window;
  }
  if (task.convention == PerplexityConvention::LmEval) {
    for (const PerplexityText& text : task.texts) {
      eval.words += text.words;
      eval.bytes += text.bytes;
    }
    eval.word_perplexity = std::exp(eval.negative_log_likelihood / static_cast<double>(eval.words));
    double per_byte = eval.negative_log_likelihood / static_cast<double>(eval.bytes);
    eval.byte_perplexity = std::exp(per_byte);
    eval.bits_per_byte = per_byte / std::numbers::ln2;
  }
  return eval;
}

data::Json to_json(const PerplexityTask& task, const PerplexityEval& eval) {
  data::Json json = data::Json::object();
  json.set("convention", convention_name(task.convention)).set("window", task.window);
  json.set("texts", static_cast<int64_t>(task.texts.size())).set("windows", eval.windows);
  json.set("tokens", eval.tokens).set("dropped_tokens", eval.dropped);
  json.set("negative_log_likelihood", eval.negative_log_likelihood);
  json.set("perplexity", eval.perplexity);
  if (task.convention == PerplexityConvention::LmEval) {
    json.set("words", eval.words).set("bytes", eval.bytes);
    json.set("word_perplexity", eval.word_perplexity);
    json.set("byte_perplexity", eval.byte_perplexity).set("bits_per_byte", eval.bits_per_byte);
  }
  return json;
}

}  // namespace tenon::prove
