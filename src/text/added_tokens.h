#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/component_json.h"
#include "text/normalizers.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace tenon::text {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool normalized = false;   // looked for in the normalised text
  bool special = false;
  std::string shown;  // what decoding gives: the content as normalised where `normalized`
};

// A part of a text: an added token, or (token < 0) text between two.
struct AddedSplit {
  size_t begin, end;
  int32_t token;  // index into AddedTokens::tokens(), or -1
};

// Finds the longest of a set of strings that begins at a place.
class PrefixTrie {
 public:
  PrefixTrie();
  void add(std::string_view text, int32_t value);  // the first value of a text stays
  bool empty() const { return nodes_.size() == 1; }
  struct Hit {
    size_t begin, end;
    int32_t value;  // -1: none
  };
  // The leftmost, then longest, hit at or after `from`.
  Hit find(std::string_view text, size_t from) const;

 private:
  struct Node {
    uint8_t byte;
    int32_t value, first_child, next_sibling;  // -1: none
  };
  int32_t child(int32_t node, uint8_t byte) const;
  std::vector<Node> nodes_;
  std::array<int32_t, 256> first_;  // children of the root
};

// Tokens beside the model's vocabulary, found in the text before the model sees it.
class AddedTokens {
 public:
  AddedTokens() = default;
  AddedTokens(AddedTokens&&) = default;  // by_text_ looks into tokens_, so no copies
  AddedTokens& operator=(AddedTokens&&) = default;
  // Problems: an id that the vocabulary gives to another text, or a text to which it gives another
  // id; a token that appears twice.
  AddedTokens(std::vector<AddedToken> tokens, const Vocabulary& vocabulary,
              const Normalizer* normalizer, ProblemList& problems);

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  const AddedToken* find_id(int32_t id) const;
  const AddedToken* find_text(std::string_view text) const;

  // Cuts `text` at the tokens with `normalized` as given. parse_special, plain and controls of
  // `options` say which are left as text; `plain` are ranges of this `text`.
  void split(std::string_view text, bool normalized, const EncodeOptions& options,
             std::vector<AddedSplit>& out) const;
  bool has_normalized() const { return !normalized_.empty(); }

 private:
  PrefixTrie::Hit find_allowed(std::string_view text, size_t from, bool normalized,
                               const EncodeOptions& options) const;
  std::vector<AddedToken> tokens_;
  std::unordered_map<int32_t, int32_t> by_id_;
  std::unordered_map<std::string_view, int32_t> by_text_;
  PrefixTrie raw_, normalized_;
};

// The "added_tokens" list of a tokenizer.json.
std::vector<AddedToken> read_added_tokens(const Component& list);
data::Json to_json(const AddedToken& token);

}  // namespace tenon::text
