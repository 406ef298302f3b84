#include "text/split_pieces.h"

#include "text/unicode.h"

namespace tenon::text {

void split_pieces(Pieces& pieces, SplitBehavior behavior,
                  FunctionRef<void(std::string_view text, std::vector<Span>& spans)> find) {
  std::vector<Piece> items;
  items.reserve(pieces.text.size() / 4 + pieces.items.size());
  std::vector<Span> spans;
  for (const Piece& piece : pieces.items) {
    if (piece.token >= 0) {
      items.push_back(piece);
      continue;
    }
    spans.clear();
    find(pieces.view(piece), spans);
    if (behavior != SplitBehavior::Isolated) apply_behavior(behavior, spans);
    for (const Span& span : spans) {
      if (span.begin == span.end) continue;
      items.push_back({piece.begin + span.begin, piece.begin + span.end, -1,
                       piece.at_start && span.begin == 0});
    }
  }
  pieces.items = std::move(items);
}

void split_at_chars(Pieces& pieces, SplitBehavior behavior, FunctionRef<bool(int32_t c)> matches) {
  split_pieces(pieces, behavior, [&](std::string_view text, std::vector<Span>& spans) {
    uint32_t covered = 0;
    for (size_t at = 0; at < text.size();) {
      auto begin = static_cast<uint32_t>(at);
      if (!matches(next_char(text, at))) continue;
      if (begin > covered) spans.push_back({covered, begin, false});
      covered = static_cast<uint32_t>(at);
      spans.push_back({begin, covered, true});
    }
    if (covered < text.size())
      spans.push_back({covered, static_cast<uint32_t>(text.size()), false});
  });
}

SplitBehavior read_split_behavior(const Component& component) {
  std::string name = component.text("behavior");
  if (name == "Removed") return SplitBehavior::Removed;
  if (name == "Isolated") return SplitBehavior::Isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::MergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::MergedWithNext;
  if (name == "Contiguous") return SplitBehavior::Contiguous;
  throw Error(ErrorCode::BadInput, "no such split behavior")
      .at(component.place + ".behavior")
      .got(name)
      .accepted("Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

}  // namespace tenon::text
