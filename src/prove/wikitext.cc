#include "prove/wikitext.h"

#include "prove/text_data.h"

namespace tenon::prove {
namespace {

// str.replace of Python: left to right, not looking again at what it wrote.
std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  size_t begin = 0;
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, begin)) {
    result += text.substr(begin, at - begin);
    result += to;
    begin = at + from.size();
  }
  result += text.substr(begin);
  return result;
}

// Each pair of brackets loses the white space inside its ends. An opening one pairs with the next
// closing one.
std::string tightened(std::string_view text, char open, char close) {
  std::string result;
  size_t begin = 0;
  for (size_t at = text.find(open); at != text.npos; at = text.find(open, begin)) {
    size_t end = text.find(close, at + 1);
    if (end == text.npos) break;
    result += text.substr(begin, at + 1 - begin);
    result += strip_white_space(text.substr(at + 1, end - at - 1));
    result += close;
    begin = end + 1;
  }
  result += text.substr(begin);
  return result;
}

// The harness replaces "/' 7/" by the text "/'[0-9]/".
std::string with_slip(std::string_view text) {
  std::string result;
  size_t begin = 0;
  for (size_t at = text.find("/' "); at != text.npos; at = text.find("/' ", at + 1)) {
    if (at < begin || at + 4 >= text.size()) continue;
    char digit = text[at + 3];
    if (digit < '0' || digit > '9' || text[at + 4] != '/') continue;
    result += text.substr(begin, at - begin);
    result += "/'[0-9]/";
    begin = at + 5;
  }
  result += text.substr(begin);
  return result;
}

struct Rule {
  std::string_view from, to;
};

}  // namespace

std::string detokenise_wikitext(std::string_view page) {
  static constexpr Rule kBefore[] = {{" @-@ ", "-"}, {" @,@ ", ","}, {" @.@ ", "."},
                                     {" : ", ": "},  {" ; ", "; "},  {" . ", ". "},
                                     {" ! ", "! "},  {" ? ", "? "},  {" , ", ", "}};
  static constexpr Rule kAfter[] = {
      {"= = = =", "===="}, {"= = =", "==="}, {"= =", "=="},  {" \xC2\xB0 ", "\xC2\xB0"},
      {" \n", "\n"},       {"\n ", "\n"},    {" N ", " 1 "}, {" 's", "'s"}};
  std::string text = with_slip(replaced(page, "s '", "s'"));
  for (const Rule& rule : kBefore) text = replaced(text, rule.from, rule.to);
  text = tightened(text, '(', ')');
  text = tightened(text, '[', ']');
  text = tightened(text, '{', '}');
  text = tightened(text, '"', '"');
  text = tightened(text, '\'', '\'');
  for (const Rule& rule : kAfter) text = replaced(text, rule.from, rule.to);
  return text;
}

int64_t count_words(std::string_view page) {
  int64_t runs = 0;
  bool inside = false;
  for (size_t at = 0; at < page.size();) {
    size_t bytes = white_space_bytes(page.substr(at));
    if (bytes > 0 && !inside) ++runs;
    inside = bytes > 0;
    at += bytes > 0 ? bytes : 1;
  }
  return runs + 1;
}

}  // namespace tenon::prove
