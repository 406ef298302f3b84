#include "text/sentencepiece_normalizer.h"

#include <optional>

#include "text/base64.h"
#include "text/byte_pieces.h"
#include "text/byte_trie.h"
#include "text/charsmap.h"
#include "text/pieces.h"
#include "text/unicode.h"

namespace tenon::text {
namespace {

constexpr std::string_view kSpaceSymbol = "\u2581";

class SentencePieceNormalizer : public Normalizer {
 public:
  explicit SentencePieceNormalizer(const Component& component)
      : add_dummy_prefix_(component.flag("add_dummy_prefix", true)),
        prefix_once_(component.flag("prefix_once", false)),
        remove_extra_(component.flag("remove_extra_whitespaces", true)),
        space_(component.flag("escape_whitespaces", true) ? kSpaceSymbol : " "),
        as_suffix_(component.flag("whitespace_as_suffix", false)) {
    read_charsmap(component);
    Component list = component.member("user_defined");
    std::vector<ByteTrie::Entry> entries;
    for (size_t i = 0; i < list.size(); ++i) {
      Component item = list.item(i);
      const std::string& text = item.json.as_string(item.place);
      check_walked_piece(text, item.place);
      entries.emplace_back(text, 0);
    }
    user_defined_ = ByteTrie(std::move(entries));
  }

  void apply(NormalText& text) const override {
    std::string_view rest = text.text;
    if (remove_extra_) skip_spaces(rest);
    std::string out;
    if (rest.empty()) return text.text.clear();
    out.reserve(text.text.size() + text.text.size() / 4 + 16);
    bool dummy = add_dummy_prefix_ && (!prefix_once_ || text.at_text_start);
    if (dummy && !as_suffix_) out += space_;
    append_normal(rest, out);
    if (remove_extra_) {
      while (out.ends_with(space_)) out.resize(out.size() - space_.size());
    }
    if (dummy && as_suffix_) out += space_;
    check_growth(out.size(), growth_limit(text.text.size()));
    text.text = std::move(out);
  }

 private:
  struct Prefix {
    std::string_view text;  // what the beginning becomes
    size_t length;          // bytes of that beginning
  };

  void read_charsmap(const Component& component) {
    std::optional<std::string> blob = decode_base64(component.text("charsmap", ""));
    if (!blob) throw Error(ErrorCode::BadInput, "not base64").at(component.place + ".charsmap");
    if (!blob->empty()) charsmap_.emplace(*blob);
  }

  Prefix prefix_of(std::string_view text) const {
    if (size_t length = user_defined_.longest_prefix(text).length) {
      return {text.substr(0, length), length};
    }
    if (charsmap_) {
      Charsmap::Match match = charsmap_->longest(text);
      if (match.length > 0) return {match.replacement, match.length};
    }
    size_t end = 0;
    next_char(text, end);
    return {text.substr(0, end), end};
  }

  void skip_spaces(std::string_view& text) const {
    while (!text.empty()) {
      Prefix prefix = prefix_of(text);
      if (prefix.text != " ") return;
      text.remove_prefix(prefix.length);
    }
  }

  void append_normal(std::string_view rest, std::string& out) const {
    bool after_space = remove_extra_;
    size_t most = growth_limit(rest.size());
    while (!rest.empty()) {
      Prefix prefix = prefix_of(rest);
      std::string_view part = prefix.text;
      while (after_space && part.starts_with(' ')) part.remove_prefix(1);
      if (!part.empty()) {
        after_space = remove_extra_ && part.ends_with(' ');
        append_escaped(part, out);
      } else if (!remove_extra_) {
        after_space = false;
      }
      check_growth(out.size(), most);
      rest.remove_prefix(prefix.length);
    }
  }

  void append_escaped(std::string_view part, std::string& out) const {
    for (char c : part) {
      if (c == ' ') {
        out += space_;
      } else {
        out += c;
      }
    }
  }

  bool add_dummy_prefix_, prefix_once_, remove_extra_;
  std::string_view space_;
  bool as_suffix_;
  std::optional<Charsmap> charsmap_;
  ByteTrie user_defined_;
};

}  // namespace

std::unique_ptr<const Normalizer> make_sentencepiece_normalizer(const Component& component) {
  return std::make_unique<SentencePieceNormalizer>(component);
}

}  // namespace tenon::text
