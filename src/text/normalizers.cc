#include "text/normalizers.h"

#include <vector>

#include "text/char_normalizers.h"
#include "text/pattern.h"
#include "text/pieces.h"
#include "text/sentencepiece_normalizer.h"
#include "text/unicode.h"

namespace tenon::text {
namespace {

constexpr std::string_view kAccepted =
    "Sequence, Prepend, Replace, NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, "
    "BertNormalizer, Precompiled, Nmt or ByteLevel";

class SequenceNormalizer : public Normalizer {
 public:
  explicit SequenceNormalizer(const std::vector<Component>& list) {
    for (const Component& item : list) {
      if (auto part = make_normalizer(item)) parts_.push_back(std::move(part));
    }
  }
  void apply(NormalText& text) const override {
    size_t most = growth_limit(text.text.size());
    for (const auto& part : parts_) {
      part->apply(text);
      check_growth(text.text.size(), most);
    }
  }

 private:
  std::vector<std::unique_ptr<const Normalizer>> parts_;
};

class PrependNormalizer : public Normalizer {
 public:
  explicit PrependNormalizer(std::string prefix) : prefix_(std::move(prefix)) {}
  void apply(NormalText& text) const override {
    if (text.text.empty()) return;
    check_growth(prefix_.size() + text.text.size(), growth_limit(text.text.size()));
    std::string out = prefix_ + text.text;
    text.text = std::move(out);
  }

 private:
  std::string prefix_;
};

class ReplaceNormalizer : public Normalizer {
 public:
  ReplaceNormalizer(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply(NormalText& text) const override {
    if (content_.empty()) {
      std::vector<Span> spans;
      pattern_.find(text.text, spans);
      if (!spans.empty() && spans[0].match) text.keeps_start = false;
    }
    text.text = pattern_.replaced(text.text, content_, growth_limit(text.text.size()));
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class UnicodeNormalizer : public Normalizer {
 public:
  explicit UnicodeNormalizer(NormalForm form) : form_(form) {}
  void apply(NormalText& text) const override { text.text = normalised(text.text, form_); }

 private:
  NormalForm form_;
};

class LowercaseNormalizer : public Normalizer {
 public:
  void apply(NormalText& text) const override { text.text = lowercased(text.text); }
};

class StripNormalizer : public Normalizer {
 public:
  explicit StripNormalizer(const Component& component)
      : left_(component.flag("strip_left", true)), right_(component.flag("strip_right", true)) {}
  void apply(NormalText& text) const override {
    size_t begin = 0, end = text.text.size();
    while (left_ && begin < end) {
      size_t next = begin;
      if (!is_white_space(next_char(text.text, next))) break;
      begin = next;
    }
    while (right_ && end > begin) {
      size_t previous = end;
      if (!is_white_space(previous_char(text.text, previous))) break;
      end = previous;
    }
    if (begin > 0) text.keeps_start = false;
    text.text = text.text.substr(begin, end - begin);
  }

 private:
  bool left_, right_;
};

}  // namespace

std::unique_ptr<const Normalizer> make_normalizer(const Component& component) {
  if (component.json.is_null()) return nullptr;
  std::string type = component.type();
  if (type == "Sequence")
    return std::make_unique<SequenceNormalizer>(component.sequence("normalizers"));
  if (type == "Prepend") return std::make_unique<PrependNormalizer>(component.text("prepend"));
  if (type == "Replace") {
    return std::make_unique<ReplaceNormalizer>(Pattern::from_json(component.member("pattern")),
                                               component.text("content"));
  }
  if (type == "NFC") return std::make_unique<UnicodeNormalizer>(NormalForm::Nfc);
  if (type == "NFD") return std::make_unique<UnicodeNormalizer>(NormalForm::Nfd);
  if (type == "NFKC") return std::make_unique<UnicodeNormalizer>(NormalForm::Nfkc);
  if (type == "NFKD") return std::make_unique<UnicodeNormalizer>(NormalForm::Nfkd);
  if (type == "Lowercase") return std::make_unique<LowercaseNormalizer>();
  if (type == "Strip") return std::make_unique<StripNormalizer>(component);
  if (type == "SentencePiece") return make_sentencepiece_normalizer(component);
  if (auto by_chars = make_char_normalizer(component)) return by_chars;
  throw unsupported_component(component, "normalizer", kAccepted);
}

}  // namespace tenon::text
