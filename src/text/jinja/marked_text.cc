#include "text/jinja/marked_text.h"

namespace tenon::text {

void MarkedText::mix() {
  if (marks_ == Marks::Mixed) return;
  flags_.assign(text_.size(), marks_ == Marks::All ? 1 : 0);
  marks_ = Marks::Mixed;
}

void MarkedText::append(const MarkedText& more) {
  if (more.empty()) return;
  if (empty()) {
    *this = more;
    return;
  }
  if (marks_ != more.marks_ || marks_ == Marks::Mixed) {
    mix();
    if (more.marks_ == Marks::Mixed) {
      flags_ += more.flags_;
    } else {
      flags_.append(more.size(), more.marks_ == Marks::All ? 1 : 0);
    }
  }
  text_ += more.text_;
}

void MarkedText::append(std::string_view more, bool user) {
  if (more.empty()) return;
  Marks marks = user ? Marks::All : Marks::None;
  if (empty()) {
    flags_.clear();
    marks_ = marks;
  }
  if (marks_ != marks) {
    mix();
    flags_.append(more.size(), user ? 1 : 0);
  }
  text_ += more;
}

MarkedText MarkedText::part(size_t begin, size_t end) const {
  MarkedText cut;
  cut.text_ = text_.substr(begin, end - begin);
  cut.marks_ = marks_;
  if (marks_ != Marks::Mixed) return cut;
  cut.flags_ = flags_.substr(begin, end - begin);
  bool any = cut.flags_.find('\1') != std::string::npos;
  bool all = cut.flags_.find('\0') == std::string::npos;
  if (any && !all) return cut;
  cut.marks_ = any ? Marks::All : Marks::None;
  cut.flags_.clear();
  return cut;
}

std::vector<ByteRange> MarkedText::user_ranges() const {
  if (!has_user()) return {};
  if (marks_ == Marks::All) return {{0, text_.size()}};
  std::vector<ByteRange> ranges;
  for (size_t begin = flags_.find('\1'); begin != std::string::npos;) {
    size_t end = std::min(flags_.find('\0', begin), flags_.size());
    ranges.push_back({begin, end});
    begin = flags_.find('\1', end);
  }
  return ranges;
}

}  // namespace tenon::text
