#include "pipelines/llm/sequence.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace tenon::llm {
namespace {

void append_ids(const Segment& segment, const std::string& place, int64_t vocabulary,
                Prompt& prompt, Problems& problems) {
  for (int32_t id : segment.ids()) {
    if (id >= 0 && id < vocabulary) continue;
    problems.add(Error(ErrorCode::BadInput, "token id is outside the vocabulary")
                     .at(place)
                     .got(std::to_string(id))
                     .accepted("0 to " + std::to_string(vocabulary - 1)));
    return;  // one a segment: a wrong vocabulary would list every token
  }
  prompt.tokens.insert(prompt.tokens.end(), segment.ids().begin(), segment.ids().end());
}

void append_embeddings(const Segment& segment, const std::string& place, int64_t hidden,
                       Prompt& prompt, Problems& problems) {
  const TensorView& embeddings = segment.embeddings();
  if (embeddings.extents[1] != hidden) {
    problems.add(Error(ErrorCode::BadInput, "given embeddings have the wrong width")
                     .at(place)
                     .got(embeddings.extents.to_string())
                     .accepted("[tokens, " + std::to_string(hidden) + "]"));
    return;
  }
  const float* values = embeddings.as<const float>();
  const float* bad = std::find_if_not(values, values + embeddings.count(),
                                      [](float value) { return std::isfinite(value); });
  if (bad != values + embeddings.count()) {
    problems.add(Error(ErrorCode::BadInput, "given embeddings are not all finite")
                     .at(place)
                     .at("row " + std::to_string((bad - values) / hidden))
                     .got(std::to_string(*bad)));
  }
  for (int64_t row = 0; row < embeddings.extents[0]; ++row) {
    prompt.tokens.push_back(-1 - static_cast<int32_t>(prompt.embed_rows.size()));
    prompt.embed_rows.push_back(values + row * hidden);
  }
}

}  // namespace

Prompt make_prompt(std::vector<Segment> segments, int64_t vocabulary, int64_t hidden) {
  Prompt prompt;
  prompt.segments = std::move(segments);
  Problems problems;
  for (size_t i = 0; i < prompt.segments.size(); ++i) {
    const Segment& segment = prompt.segments[i];
    std::string place = "prompt segment " + std::to_string(i);
    if (segment.has_embeddings()) {
      append_embeddings(segment, place, hidden, prompt, problems);
    } else {
      append_ids(segment, place, vocabulary, prompt, problems);
    }
  }
  problems.throw_if_any();
  if (prompt.tokens.empty()) {
    throw Error(ErrorCode::BadInput, "the prompt is empty").accepted("at least one token");
  }
  return prompt;
}

}  // namespace tenon::llm
