#include "text/pattern.h"

#include "text/unicode.h"

namespace tenon::text {

Pattern Pattern::from_json(const Component& component) {
  bool is_string = component.has("String");
  if (is_string == component.has("Regex")) {
    throw Error(ErrorCode::BadInput, "pattern has no kind")
        .at(component.place)
        .accepted("String or Regex");
  }
  try {
    return is_string ? literal(component.text("String")) : regex(component.text("Regex"));
  } catch (Error& error) {
    if (error.place().find(component.place) == std::string::npos) error.within(component.place);
    throw;
  }
}

Pattern Pattern::literal(std::string text) {
  if (text.empty()) throw Error(ErrorCode::Unsupported, "an empty pattern matches everywhere");
  Pattern pattern;
  pattern.literal_ = std::move(text);
  return pattern;
}

Pattern Pattern::regex(const std::string& text) {
  Pattern pattern;
  pattern.scanner_ = known_scanner(text);
  if (!pattern.scanner_) pattern.regex_.emplace(text);
  return pattern;
}

void Pattern::find(std::string_view text, std::vector<Span>& spans) const {
  if (scanner_) return scanner_->scan(text, spans);
  if (!regex_) return find_literal(text, spans);
  uint32_t covered = 0;
  regex_->for_each_match(text, [&](size_t begin, size_t end) {
    auto first = static_cast<uint32_t>(begin), last = static_cast<uint32_t>(end);
    if (first != covered) spans.push_back({covered, first, false});
    spans.push_back({first, last, true});
    covered = last;
  });
  if (covered != text.size()) spans.push_back({covered, static_cast<uint32_t>(text.size()), false});
}

void Pattern::find_literal(std::string_view text, std::vector<Span>& spans) const {
  size_t covered = 0;
  for (size_t at = text.find(literal_); at != text.npos; at = text.find(literal_, covered)) {
    if (at != covered)
      spans.push_back({static_cast<uint32_t>(covered), static_cast<uint32_t>(at), false});
    covered = at + literal_.size();
    spans.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(covered), true});
  }
  if (covered != text.size()) {
    spans.push_back({static_cast<uint32_t>(covered), static_cast<uint32_t>(text.size()), false});
  }
}

std::string Pattern::replaced(std::string_view text, std::string_view content, size_t most) const {
  std::vector<Span> spans;
  find(text, spans);
  size_t size = 0;
  for (const Span& span : spans) size += span.match ? content.size() : span.end - span.begin;
  check_growth(size, most);
  std::string out;
  out.reserve(size);
  for (const Span& span : spans) {
    out += span.match ? content : text.substr(span.begin, span.end - span.begin);
  }
  return out;
}

bool Pattern::is_single_char() const {
  if (literal_.empty()) return false;
  size_t at = 0;
  next_char(literal_, at);
  return at == literal_.size();
}

}  // namespace tenon::text
