#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"

namespace tenon::text {
namespace {

constexpr size_t kMostAddedBytes = 1024;  // the trie walks this far at each place of a text
constexpr size_t kMostTrieNodes = 8'000'000;

bool is_whole_word(std::string_view text, size_t begin, size_t end) {
  if (begin > 0) {
    size_t before = begin;
    if (is_word(previous_char(text, before))) return false;
  }
  if (end < text.size()) {
    size_t after = end;
    if (is_word(next_char(text, after))) return false;
  }
  return true;
}

size_t space_begin(std::string_view text, size_t end) {
  while (end > 0) {
    size_t begin = end;
    if (!is_white_space(previous_char(text, begin))) break;
    end = begin;
  }
  return end;
}

size_t space_end(std::string_view text, size_t begin) {
  while (begin < text.size()) {
    size_t end = begin;
    if (!is_white_space(next_char(text, end))) break;
    begin = end;
  }
  return begin;
}

Error bad_token(const AddedToken& token, std::string_view problem) {
  return Error(ErrorCode::BadInput, problem).at("added_tokens").at(token.content);
}

bool check_token(const AddedToken& token, const Vocabulary& vocabulary, ProblemList& problems) {
  if (token.content.empty()) {
    problems.add(bad_token(token, "added token is empty").got("id " + std::to_string(token.id)));
    return false;
  }
  if (token.content.size() > kMostAddedBytes) {
    problems.add(bad_token(token, "added token is too long")
                     .got(std::to_string(token.content.size()) + " bytes")
                     .accepted("at most " + std::to_string(kMostAddedBytes)));
    return false;
  }
  int32_t slot = vocabulary.find(token.content);
  if (slot >= 0 && vocabulary.id_of(slot) != token.id) {
    problems.add(bad_token(token, "the vocabulary has this token with another id")
                     .got(std::to_string(token.id))
                     .accepted(std::to_string(vocabulary.id_of(slot))));
    return false;
  }
  int32_t other = vocabulary.slot_of_id(token.id);
  if (slot < 0 && other >= 0) {
    problems.add(bad_token(token, "the vocabulary gives this id to another token")
                     .got(std::to_string(token.id) + ", which is " +
                          std::string(vocabulary.text_of(other))));
    return false;
  }
  return true;
}

// The first of `ranges` that shares a byte with [begin, end), or nullptr.
const ByteRange* first_overlap(std::span<const ByteRange> ranges, size_t begin, size_t end) {
  auto found = std::ranges::lower_bound(ranges, begin, std::ranges::less_equal{}, &ByteRange::end);
  return found != ranges.end() && found->begin < end ? &*found : nullptr;
}

}  // namespace

PrefixTrie::PrefixTrie() : nodes_{{0, -1, -1, -1}} {
  first_.fill(-1);
}

int32_t PrefixTrie::child(int32_t node, uint8_t byte) const {
  if (node == 0) return first_[byte];
  int32_t at = nodes_[node].first_child;
  while (at >= 0 && nodes_[at].byte != byte) at = nodes_[at].next_sibling;
  return at;
}

void PrefixTrie::add(std::string_view text, int32_t value) {
  if (text.empty()) return;
  int32_t node = 0;
  for (char c : text) {
    auto byte = static_cast<uint8_t>(c);
    int32_t next = child(node, byte);
    if (next < 0) {
      if (nodes_.size() >= kMostTrieNodes) {
        throw Error(ErrorCode::BadInput, "added tokens are too many or too long")
            .at("added_tokens");
      }
      next = static_cast<int32_t>(nodes_.size());
      nodes_.push_back({byte, -1, -1, node == 0 ? -1 : nodes_[node].first_child});
      (node == 0 ? first_[byte] : nodes_[node].first_child) = next;
    }
    node = next;
  }
  if (nodes_[node].value < 0) nodes_[node].value = value;
}

PrefixTrie::Hit PrefixTrie::find(std::string_view text, size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    Hit hit{begin, begin, -1};
    int32_t node = first_[static_cast<uint8_t>(text[begin])];
    for (size_t at = begin + 1; node >= 0; ++at) {
      if (nodes_[node].value >= 0) hit = {begin, at, nodes_[node].value};
      if (at == text.size()) break;
      node = child(node, static_cast<uint8_t>(text[at]));
    }
    if (hit.value >= 0) return hit;
  }
  return {text.size(), text.size(), -1};
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Vocabulary& vocabulary,
                         const Normalizer* normalizer, ProblemList& problems) {
  // Where two tokens normalise to one text, a special one is found first.
  std::stable_partition(tokens.begin(), tokens.end(),
                        [](const auto& token) { return token.special; });
  tokens_.reserve(tokens.size());
  by_id_.reserve(tokens.size());
  by_text_.reserve(tokens.size());
  for (AddedToken& token : tokens) {
    if (!check_token(token, vocabulary, problems)) continue;
    auto index = static_cast<int32_t>(tokens_.size());
    if (by_text_.contains(token.content) || !by_id_.emplace(token.id, index).second) {
      problems.add(
          bad_token(token, "added token or its id appears twice").got(std::to_string(token.id)));
      continue;
    }
    NormalText text{token.content, true};
    if (token.normalized && normalizer) normalizer->apply(text);
    (token.normalized ? normalized_ : raw_).add(text.text, index);
    token.shown = std::move(text.text);
    by_text_.emplace(tokens_.emplace_back(std::move(token)).content, index);
  }
}

const AddedToken* AddedTokens::find_id(int32_t id) const {
  auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::find_text(std::string_view text) const {
  auto found = by_text_.find(text);
  return found == by_text_.end() ? nullptr : &tokens_[found->second];
}

// The next token that is not hidden by `options`. What users wrote hides neither the tokens of
// others that begin inside a refused one, nor a shorter one at the same place.
PrefixTrie::Hit AddedTokens::find_allowed(std::string_view text, size_t from, bool normalized,
                                          const EncodeOptions& options) const {
  const PrefixTrie& trie = normalized ? normalized_ : raw_;
  PrefixTrie::Hit hit = trie.find(text, from);
  while (hit.value >= 0) {
    const AddedToken& token = tokens_[hit.value];
    const ByteRange* user = first_overlap(options.plain, hit.begin, hit.end);
    bool guarded = token.special || std::ranges::count(options.controls, token.id) > 0;
    if (token.special && !options.parse_special) {
      hit = trie.find(text, hit.end);
    } else if (!user || !guarded) {
      break;
    } else if (user->begin > hit.begin) {
      PrefixTrie::Hit shorter = trie.find(text.substr(0, user->begin), hit.begin);
      bool hidden = shorter.value >= 0 && tokens_[shorter.value].special && !options.parse_special;
      if (shorter.value >= 0 && !hidden) return shorter;
      hit = trie.find(text, hit.begin + 1);
    } else {
      hit = trie.find(text, hit.begin + 1);
    }
  }
  return hit;
}

void AddedTokens::split(std::string_view text, bool normalized, const EncodeOptions& options,
                        std::vector<AddedSplit>& out) const {
  const PrefixTrie& trie = normalized ? normalized_ : raw_;
  size_t covered = 0;
  if (!trie.empty()) {
    for (auto hit = find_allowed(text, 0, normalized, options); hit.value >= 0;
         hit = find_allowed(text, hit.end, normalized, options)) {
      const AddedToken& token = tokens_[hit.value];
      if (token.single_word && !is_whole_word(text, hit.begin, hit.end)) continue;
      size_t begin = token.lstrip ? std::max(space_begin(text, hit.begin), covered) : hit.begin;
      size_t end = token.rstrip ? space_end(text, hit.end) : hit.end;
      if (covered < begin) out.push_back({covered, begin, -1});
      out.push_back({begin, end, hit.value});
      covered = end;
    }
  }
  if (covered < text.size()) out.push_back({covered, text.size(), -1});
}

std::vector<AddedToken> read_added_tokens(const Component& list) {
  std::vector<AddedToken> tokens;
  if (list.json.is_null()) return tokens;
  tokens.reserve(list.size());
  for (size_t i = 0; i < list.size(); ++i) {
    Component item = list.item(i);
    AddedToken token;
    token.id = item.member("id").token_id();
    token.content = item.text("content");
    token.special = item.flag("special", false);
    token.normalized = item.flag("normalized", !token.special);
    token.single_word = item.flag("single_word", false);
    token.lstrip = item.flag("lstrip", false);
    token.rstrip = item.flag("rstrip", false);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

data::Json to_json(const AddedToken& token) {
  return data::Json(data::Json::Object{{"id", token.id},
                                       {"content", token.content},
                                       {"single_word", token.single_word},
                                       {"lstrip", token.lstrip},
                                       {"rstrip", token.rstrip},
                                       {"normalized", token.normalized},
                                       {"special", token.special}});
}

}  // namespace tenon::text
