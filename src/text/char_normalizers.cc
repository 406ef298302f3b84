#include "text/char_normalizers.h"

#include <utf8proc.h>

#include "text/base64.h"
#include "text/byte_level.h"
#include "text/charsmap.h"
#include "text/package_unicode.h"
#include "text/pieces.h"
#include "text/unicode.h"

namespace tenon::text {
namespace {

// Leaves the characters out for which `drop` holds.
template <class Drop>
void filter(NormalText& text, Drop drop) {
  std::string out;
  out.reserve(text.text.size());
  for (size_t at = 0; at < text.text.size();) {
    size_t begin = at;
    if (!drop(next_char(text.text, at))) {
      out.append(text.text, begin, at - begin);
    } else if (begin == 0) {
      text.keeps_start = false;
    }
  }
  text.text = std::move(out);
}

// Writes what `respell` appends for each character.
template <class Respell>
void rewrite(NormalText& text, Respell respell) {
  std::string out;
  out.reserve(text.text.size());
  for (size_t at = 0; at < text.text.size();) respell(next_char(text.text, at), out);
  check_growth(out.size(), growth_limit(text.text.size()));
  text.text = std::move(out);
}

class BertNormalizer : public Normalizer {
 public:
  explicit BertNormalizer(const Component& component)
      : clean_text_(component.flag("clean_text", true)),
        chinese_(component.flag("handle_chinese_chars", true)),
        lowercase_(component.flag("lowercase", true)),
        strip_accents_(component.flag("strip_accents", lowercase_)) {}

  void apply(NormalText& text) const override {
    if (clean_text_) {
      filter(text, [](CodePoint c) { return c == 0 || c == 0xFFFD || is_bert_control(c); });
      rewrite(text,
              [](CodePoint c, std::string& out) { append_utf8(out, is_white_space(c) ? ' ' : c); });
    }
    if (chinese_) rewrite(text, append_spaced);
    if (strip_accents_) {
      text.text = normalised(text.text, NormalForm::Nfd);
      filter(text, is_bert_nonspacing);
    }
    if (lowercase_) text.text = lowercased(text.text);
  }

 private:
  static void append_spaced(CodePoint c, std::string& out) {
    bool chinese = is_bert_chinese(c);
    if (chinese) out += ' ';
    append_utf8(out, c);
    if (chinese) out += ' ';
  }

  bool clean_text_, chinese_, lowercase_, strip_accents_;
};

class StripAccentsNormalizer : public Normalizer {
 public:
  void apply(NormalText& text) const override { filter(text, is_combining_mark); }
};

// What Google's neural machine translation cleaned: control characters go, odd spaces become plain.
class NmtNormalizer : public Normalizer {
 public:
  void apply(NormalText& text) const override {
    filter(text, [](CodePoint c) {
      return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
             c == 0x8F || c == 0x9F;
    });
    rewrite(text,
            [](CodePoint c, std::string& out) { append_utf8(out, becomes_space(c) ? ' ' : c); });
  }

 private:
  static bool becomes_space(CodePoint c) {
    switch (c) {
      case 0x09:
      case 0x0A:
      case 0x0C:
      case 0x0D:
      case 0x1680:
      case 0x2028:
      case 0x2029:
      case 0x2581:
      case 0xFEFF:
      case 0xFFFD:
        return true;
      default:
        return c >= 0x200B && c <= 0x200F;
    }
  }
};

class ByteLevelNormalizer : public Normalizer {
 public:
  void apply(NormalText& text) const override {
    std::string out;
    out.reserve(text.text.size() * 5 / 4);
    for (char c : text.text) append_byte_char(out, static_cast<uint8_t>(c));
    text.text = std::move(out);
  }
};

// A charsmap as Hugging Face applies it, which is not as SentencePiece does: it asks for whole
// graphemes, and the shortest rule that one begins with replaces all of it.
class PrecompiledNormalizer : public Normalizer {
 public:
  explicit PrecompiledNormalizer(const Component& component) : charsmap_(blob_of(component)) {}

  void apply(NormalText& text) const override {
    std::string out;
    out.reserve(text.text.size());
    std::string_view all = text.text;
    for (size_t begin = 0; begin < all.size();) {
      size_t end = grapheme_end(all, begin);
      append_grapheme(all.substr(begin, end - begin), out);
      check_growth(out.size(), growth_limit(all.size()));
      begin = end;
    }
    text.text = std::move(out);
  }

 private:
  static std::string blob_of(const Component& component) {
    std::optional<std::string> blob = decode_base64(component.text("precompiled_charsmap"));
    if (blob) return *std::move(blob);
    throw Error(ErrorCode::BadInput, "not base64").at(component.place + ".precompiled_charsmap");
  }

  static size_t grapheme_end(std::string_view text, size_t begin) {
    utf8proc_int32_t state = 0;
    CodePoint previous = next_char(text, begin);
    while (begin < text.size()) {
      size_t next = begin;
      CodePoint c = next_char(text, next);
      if (utf8proc_grapheme_break_stateful(previous, c, &state)) break;
      previous = c;
      begin = next;
    }
    return begin;
  }

  void append_grapheme(std::string_view grapheme, std::string& out) const {
    constexpr size_t kLongest = 5;  // bytes; longer ones are not asked for
    if (grapheme.size() <= kLongest) {
      Charsmap::Match match = charsmap_.shortest(grapheme);
      if (match.length > 0) {
        out += match.replacement;
        return;
      }
    }
    for (size_t at = 0; at < grapheme.size();) {
      size_t begin = at;
      next_char(grapheme, at);
      std::string_view part = grapheme.substr(begin, at - begin);
      Charsmap::Match match = charsmap_.shortest(part);
      out += match.length > 0 ? match.replacement : part;
    }
  }

  Charsmap charsmap_;
};

}  // namespace

std::unique_ptr<const Normalizer> make_char_normalizer(const Component& component) {
  std::string type = component.type();
  if (type == "BertNormalizer") return std::make_unique<BertNormalizer>(component);
  if (type == "StripAccents") return std::make_unique<StripAccentsNormalizer>();
  if (type == "Nmt") return std::make_unique<NmtNormalizer>();
  if (type == "ByteLevel") return std::make_unique<ByteLevelNormalizer>();
  if (type == "Precompiled") return std::make_unique<PrecompiledNormalizer>(component);
  return nullptr;
}

}  // namespace tenon::text
