#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace tenon::text {

// UTF-8 text that knows which of its bytes a user wrote. Cutting and joining keep the marks, so
// that a rendered chat can tell its own special tokens from those that a message only spells.
class MarkedText {
 public:
  MarkedText() = default;
  explicit MarkedText(std::string text, bool user = false)
      : text_(std::move(text)), marks_(user ? Marks::All : Marks::None) {}

  const std::string& text() const { return text_; }
  size_t size() const { return text_.size(); }
  bool empty() const { return text_.empty(); }
  size_t memory() const { return text_.size() + flags_.size(); }
  bool has_user() const { return marks_ != Marks::None && !text_.empty(); }

  void append(const MarkedText& more);
  // Marked as a user's where `user` says so.
  void append(std::string_view more, bool user = false);
  // Bytes [begin, end).
  MarkedText part(size_t begin, size_t end) const;
  // `text` in place of this one, which was made from all of it: a user's where any of this was.
  MarkedText replaced_by(std::string text) const { return MarkedText(std::move(text), has_user()); }

  std::vector<ByteRange> user_ranges() const;

 private:
  enum class Marks { None, All, Mixed };
  void mix();
  std::string text_;
  Marks marks_ = Marks::None;
  std::string flags_;  // of Mixed: 1 for a user's byte, one for each of text_
};

}  // namespace tenon::text
