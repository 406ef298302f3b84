#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::text {

// SentencePiece's "precompiled_charsmap": a double-array trie of character sequences and what each
// is replaced by. All of it is checked when it is read: no walk can leave it or go round in it.
class Charsmap {
 public:
  // `blob`: u32 bytes of the trie, the trie (u32 units), replacements that end in NUL. Throws
  // ErrorCode::BadInput.
  explicit Charsmap(std::string_view blob);

  struct Match {
    size_t length = 0;  // bytes of the text; 0: no rule
    std::string_view replacement;
  };
  // The longest rule that `text` begins with, as SentencePiece applies them.
  Match longest(std::string_view text) const;
  // The shortest one, which is what Hugging Face tokenizers applies to a grapheme.
  Match shortest(std::string_view text) const;

 private:
  std::string_view replacement_at(uint32_t offset) const;
  void verify() const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace tenon::text
