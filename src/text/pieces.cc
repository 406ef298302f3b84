#include "text/pieces.h"

#include <algorithm>

#include "base/error.h"

namespace tenon::text {
namespace {

void merge_contiguous(std::vector<Span>& spans) {
  size_t kept = 0;
  for (const Span& span : spans) {
    if (kept > 0 && spans[kept - 1].match == span.match) {
      spans[kept - 1].end = span.end;
    } else {
      spans[kept++] = span;
    }
  }
  spans.resize(kept);
}

// Of several matches in a row only the first joins; each other one stands alone.
void merge_with_previous(std::vector<Span>& spans) {
  size_t kept = 0;
  bool previous_match = false;
  for (const Span span : spans) {
    if (span.match && !previous_match && kept > 0) {
      spans[kept - 1].end = span.end;
    } else {
      spans[kept++] = span;
    }
    previous_match = span.match;
  }
  spans.resize(kept);
}

void merge_with_next(std::vector<Span>& spans) {
  std::reverse(spans.begin(), spans.end());
  size_t kept = 0;
  bool previous_match = false;
  for (const Span span : spans) {
    if (span.match && !previous_match && kept > 0) {
      spans[kept - 1].begin = span.begin;
    } else {
      spans[kept++] = span;
    }
    previous_match = span.match;
  }
  spans.resize(kept);
  std::reverse(spans.begin(), spans.end());
}

}  // namespace

void apply_behavior(SplitBehavior behavior, std::vector<Span>& spans) {
  switch (behavior) {
    case SplitBehavior::Isolated:
      break;
    case SplitBehavior::Removed:
      std::erase_if(spans, [](const Span& span) { return span.match; });
      break;
    case SplitBehavior::MergedWithPrevious:
      merge_with_previous(spans);
      break;
    case SplitBehavior::MergedWithNext:
      merge_with_next(spans);
      break;
    case SplitBehavior::Contiguous:
      merge_contiguous(spans);
      break;
  }
  std::erase_if(spans, [](const Span& span) { return span.begin == span.end; });
}

void check_growth(size_t bytes, size_t most) {
  most = std::min(most, size_t{1} << 30);
  if (bytes <= most) return;
  throw Error(ErrorCode::BadInput, "the tokenizer's stages make a text too long")
      .got(std::to_string(bytes) + " bytes")
      .accepted("at most " + std::to_string(most))
      .fix("take the tokenizer.json the model was published with");
}

void append_checked(std::string& out, std::string_view more) {
  check_growth(out.size() + more.size());
  out += more;
}

}  // namespace tenon::text
