#include "prove/summarize.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace tenon::prove {
namespace {

constexpr int64_t kProtocolTokens = 923;

int64_t prompt_limit(const llm::Engine& engine, const SummarizeOptions& options) {
  int64_t room = engine.options().max_seq_len - options.new_tokens;
  int64_t wanted =
      options.prompt_tokens > 0 ? options.prompt_tokens : std::min(kProtocolTokens, room);
  if (wanted >= 1 && wanted <= room) return wanted;
  throw Error(ErrorCode::Usage, "prompt and summary do not fit into the plan's sequences")
      .got(std::to_string(std::max<int64_t>(wanted, 1)) + " and " +
           std::to_string(options.new_tokens) + " tokens")
      .accepted(std::to_string(engine.options().max_seq_len) + " together")
      .fix("give --prompt-tokens or --max-new-tokens, or build with a larger --max-seq-len");
}

std::vector<int32_t> cut(std::vector<int32_t> ids, int64_t first, int64_t last) {
  if (first > 0 && static_cast<int64_t>(ids.size()) > first) ids.resize(first);
  if (static_cast<int64_t>(ids.size()) > last) ids.erase(ids.begin(), ids.end() - last);
  return ids;
}

}  // namespace

std::string summary_prompt(std::string_view article) {
  std::string text = std::string(article) + " TL;DR: ";
  text = strip_white_space(text);
  for (size_t at = text.find(" n't"); at != text.npos; at = text.find(" n't", at + 3)) {
    text.erase(at, 1);
  }
  return text;
}

SummaryRun summarize(llm::Engine& engine, const std::vector<Article>& articles,
                     const SummarizeOptions& options, Progress& progress) {
  if (!engine.tokenizer()) {
    throw Error(ErrorCode::Unsupported, "the plan carries no tokenizer, so it reads no text");
  }
  SummaryRun run;
  run.most_prompt_tokens = prompt_limit(engine, options);
  run.texts.resize(articles.size());
  run.new_tokens.resize(articles.size());
  int64_t done = 0;
  for (size_t i = 0; i < articles.size(); ++i) {
    std::vector<int32_t> ids = engine.tokenizer()->encode(summary_prompt(articles[i].article));
    size_t whole = ids.size();
    ids = cut(std::move(ids), options.first_tokens, run.most_prompt_tokens);
    if (ids.size() < whole) ++run.cut_prompts;
    run.prompt_tokens += static_cast<int64_t>(ids.size());
    llm::Request request;
    request.prompt.push_back(llm::Segment::of_ids(std::move(ids)));
    request.sampling.max_new_tokens = options.new_tokens;
    engine.submit(std::move(request), [&run, &done, i](const llm::Update& update) {
      if (!update.result) return;
      run.texts[i] = update.result->text;
      run.new_tokens[i] = static_cast<int64_t>(update.result->ids.size());
      ++done;
    });
  }
  progress.begin("summarizing", static_cast<int64_t>(articles.size()));
  auto started = std::chrono::steady_clock::now();
  while (engine.step()) progress.advance(done);
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  progress.end();
  return run;
}

}  // namespace tenon::prove
