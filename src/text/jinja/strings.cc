#include "text/jinja/strings.h"

#include <algorithm>
#include <array>

#include "text/special_casing.h"
#include "text/unicode.h"

namespace tenon::text {
namespace {

bool is_stripped(CodePoint c, const std::string* chars) {
  if (!chars) return is_python_space(c);
  std::string one;
  append_utf8(one, c);
  for (size_t at = 0; at < chars->size();) {
    size_t begin = at;
    next_char(*chars, at);
    if (std::string_view(*chars).substr(begin, at - begin) == one) return true;
  }
  return false;
}

bool is_cased(CodePoint c) {
  return to_upper(c) != c || to_lower(c) != c;
}

void append_all(std::string& out, const std::array<CodePoint, 3>& characters) {
  for (CodePoint c : characters) {
    if (c != 0) append_utf8(out, c);
  }
}

void append_upper(std::string& out, CodePoint c) {
  const SpecialCasing* special = special_casing(c);
  if (special) return append_all(out, special->upper);
  append_utf8(out, to_upper(c));
}

void append_title(std::string& out, CodePoint c) {
  const SpecialCasing* special = special_casing(c);
  if (special) return append_all(out, special->title);
  append_utf8(out, to_upper(c));
}

void append_lower(std::string& out, CodePoint c) {
  if (c == 0x130) return append_all(out, {'i', 0x307});  // the only one that becomes two
  append_utf8(out, to_lower(c));
}

}  // namespace

bool is_python_space(int32_t c) {
  return is_white_space(c) || (c >= 0x1C && c <= 0x1F);
}

MarkedText strip(RenderState& state, const MarkedText& text, const std::string* chars, Side side) {
  const std::string& bytes = text.text();
  state.work_on_bytes(bytes.size() * (chars ? 16 + chars->size() : 4));
  size_t begin = 0, end = bytes.size();
  while (side != Side::Right && begin < end) {
    size_t next = begin;
    if (!is_stripped(next_char(bytes, next), chars)) break;
    begin = next;
  }
  while (side != Side::Left && end > begin) {
    size_t before = end;
    if (!is_stripped(previous_char(bytes, before), chars)) break;
    end = before;
  }
  return text.part(begin, end);
}

std::vector<MarkedText> split_at(RenderState& state, const MarkedText& text,
                                 std::string_view separator, int64_t most, bool from_right) {
  if (separator.empty()) throw state.error("the separator of split() is empty");
  const std::string& bytes = text.text();
  state.work_on_bytes(bytes.size() * 8);
  std::vector<MarkedText> parts;
  size_t begin = 0, end = bytes.size();
  while (most != 0) {
    size_t found;
    if (from_right) {
      found = end < separator.size() ? bytes.npos : bytes.rfind(separator, end - separator.size());
    } else {
      found = bytes.find(separator, begin);
    }
    if (found == bytes.npos) break;
    state.work();
    parts.push_back(from_right ? text.part(found + separator.size(), end)
                               : text.part(begin, found));
    (from_right ? end : begin) = from_right ? found : found + separator.size();
    --most;
  }
  parts.push_back(text.part(begin, end));
  if (from_right) std::ranges::reverse(parts);
  return parts;
}

std::vector<MarkedText> split_words(RenderState& state, const MarkedText& text, int64_t most,
                                    bool from_right) {
  MarkedText rest = strip(state, text, nullptr, from_right ? Side::Right : Side::Left);
  const std::string& bytes = rest.text();
  std::vector<MarkedText> parts;
  size_t begin = 0, end = bytes.size();
  while (begin < end && most != 0) {
    state.work();
    // The word at this end, then the space behind it.
    size_t word = from_right ? end : begin, next = word;
    auto step = [&](size_t& at) {
      return from_right ? previous_char(bytes, at) : next_char(bytes, at);
    };
    auto more = [&](size_t at) { return from_right ? at > begin : at < end; };
    while (more(next) && !is_python_space(step(next))) word = next;
    parts.push_back(from_right ? rest.part(word, end) : rest.part(begin, word));
    next = word;
    while (more(next) && is_python_space(step(next))) word = next;
    (from_right ? end : begin) = word;
    --most;
  }
  state.work_on_bytes(bytes.size() * 16);
  if (begin < end) parts.push_back(rest.part(begin, end));
  if (from_right) std::ranges::reverse(parts);
  return parts;
}

std::vector<MarkedText> split_lines(RenderState& state, const MarkedText& text, bool keep_ends) {
  const std::string& bytes = text.text();
  state.work_on_bytes(bytes.size() * 16);
  std::vector<MarkedText> lines;
  size_t begin = 0;
  for (size_t at = 0; at < bytes.size();) {
    size_t end = at;
    CodePoint c = next_char(bytes, at);
    bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
                c == 0x2029;
    if (!ends) continue;
    if (c == '\r' && at < bytes.size() && bytes[at] == '\n') ++at;
    state.work();
    lines.push_back(text.part(begin, keep_ends ? at : end));
    begin = at;
  }
  if (begin < bytes.size()) lines.push_back(text.part(begin, bytes.size()));
  return lines;
}

MarkedText replace(RenderState& state, const MarkedText& text, std::string_view old,
                   const MarkedText& by, int64_t most) {
  const std::string& bytes = text.text();
  state.work_on_bytes(bytes.size() * 8);
  MarkedText out;
  size_t done = 0, at = 0;
  for (; most != 0 && at <= bytes.size(); --most) {
    size_t found = bytes.find(old, at);
    if (found == bytes.npos) break;
    state.work_on_bytes(by.size());
    state.check_room(static_cast<int64_t>(out.memory() + by.memory()));
    out.append(text.part(done, found));
    out.append(by);
    done = at = found + old.size();
    // An empty text stands before each character and at the end.
    if (old.empty()) at < bytes.size() ? void(next_char(bytes, at)) : void(++at);
  }
  if (done < bytes.size()) out.append(text.part(done, bytes.size()));
  return out;
}

MarkedText join(RenderState& state, const std::vector<MarkedText>& parts,
                const MarkedText& separator) {
  MarkedText out;
  for (size_t i = 0; i < parts.size(); ++i) {
    state.work_on_bytes(parts[i].size() + separator.size());
    state.check_room(static_cast<int64_t>(out.memory() + separator.memory() + parts[i].memory()));
    if (i > 0) out.append(separator);
    out.append(parts[i]);
  }
  return out;
}

MarkedText with_case(RenderState& state, const MarkedText& text, Case wanted) {
  const std::string& bytes = text.text();
  state.work_on_bytes(bytes.size() * 32);
  std::string out;
  bool in_word = false, in_place = true;
  for (size_t at = 0; at < bytes.size();) {
    size_t begin = at, had = out.size();
    CodePoint c = next_char(bytes, at);
    bool title = (wanted == Case::Title && !in_word) || (wanted == Case::Capitalized && begin == 0);
    bool upper = wanted == Case::Upper ||
                 (wanted == Case::Swapped && (to_upper(c) != c || special_casing(c)));
    if (title) {
      append_title(out, c);
    } else if (upper) {
      append_upper(out, c);
    } else {
      append_lower(out, c);
    }
    in_word = is_cased(c);
    in_place = in_place && out.size() - had == at - begin;
  }
  // Where every character kept its place, each byte still has its writer.
  if (!in_place || !text.has_user()) return text.replaced_by(std::move(out));
  MarkedText marked;
  size_t done = 0;
  for (const ByteRange& range : text.user_ranges()) {
    marked.append(std::string_view(out).substr(done, range.begin - done));
    marked.append(std::string_view(out).substr(range.begin, range.end - range.begin), true);
    done = range.end;
  }
  marked.append(std::string_view(out).substr(done));
  return marked;
}

MarkedText jinja_title(RenderState& state, const MarkedText& text) {
  const std::string& bytes = text.text();
  state.work_on_bytes(bytes.size() * 32);
  std::string out;
  bool begins = true;
  for (size_t at = 0; at < bytes.size();) {
    CodePoint c = next_char(bytes, at);
    if (begins) {
      append_upper(out, c);  // Jinja's filter takes capitals, not Python's title()
    } else {
      append_lower(out, c);
    }
    begins = is_python_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  }
  return text.replaced_by(std::move(out));
}

Value make_strings(RenderState& state, std::vector<MarkedText> parts) {
  Values items;
  items.reserve(parts.size());
  for (MarkedText& part : parts) items.push_back(make_string(state, std::move(part)));
  return make_list(state, std::move(items));
}

}  // namespace tenon::text
