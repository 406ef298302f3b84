#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::text {

// Bytes [begin, end) of a text.
struct ByteRange {
  size_t begin = 0, end = 0;
  bool operator==(const ByteRange&) const = default;
};

struct EncodeOptions {
  // Adds what the tokenizer's template adds around a text ("<s>" for Llama).
  bool add_special_tokens = true;
  // Whether "<|im_end|>" in the text becomes that token. Off for text that a user wrote: it then
  // cannot forge the boundaries of a chat.
  bool parse_special = true;
  // Parts of the text that users wrote, in order and not touching. No special token is found where
  // it would overlap one, and none of `controls`: so users forge nothing, and all else is encoded
  // as in one text.
  std::span<const ByteRange> plain = {};
  // Ids of added tokens that are not marked special and yet shape a chat.
  std::span<const int32_t> controls = {};
};

// The names of the tokens with a role, as tokenizer_config.json gives them; empty where it has
// none.
struct SpecialTokenNames {
  std::string bos, eos, pad, unk;
  bool operator==(const SpecialTokenNames&) const = default;
};

struct TokenizerParts;

// Text to token ids and back, with the semantics of Hugging Face `tokenizers`. Immutable: any
// number of threads may use one object at once.
class Tokenizer {
 public:
  // Reads tokenizer.json; without one, vocab.json + merges.txt, a SentencePiece tokenizer.model or
  // spiece.model, Llama-3's tokenizer.model, or BERT's vocab.txt, with added_tokens.json. Roles
  // come from tokenizer_config.json and special_tokens_map.json. Every problem is in one Error.
  static std::shared_ptr<const Tokenizer> from_folder(const std::string& folder);
  // Whether the folder has one of these files.
  static bool is_in_folder(const std::string& folder);
  // `json_text` is the content of a tokenizer.json.
  static std::shared_ptr<const Tokenizer> from_json(std::string_view json_text,
                                                    const SpecialTokenNames& names = {});
  // Reads what serialise() wrote.
  static std::shared_ptr<const Tokenizer> from_serialised(std::string_view bytes);
  ~Tokenizer();

  // All that encode and decode need, as JSON text. The same input gives the same bytes.
  std::string serialise() const;

  // What is no valid UTF-8 counts as U+FFFD, as in the original. Throws ErrorCode::BadInput where
  // the text is longer than kLimits.prompt_bytes.
  std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  // Ids that no token has are left out, as a model may have more logits than the tokenizer tokens.
  std::string decode(std::span<const int32_t> ids, bool skip_special = true) const;

  int64_t vocabulary_size() const;  // tokens in all, with added ones
  int32_t largest_id() const;       // ids may have gaps, so this can exceed vocabulary_size() - 1

  // The token as the vocabulary spells it ("Ġthe", "▁the", "<0x0A>").
  std::optional<std::string> token_text(int32_t id) const;
  std::optional<int32_t> token_id(std::string_view text) const;
  bool is_special(int32_t id) const;

  std::optional<int32_t> bos() const;
  std::optional<int32_t> eos() const;
  std::optional<int32_t> pad() const;
  std::optional<int32_t> unk() const;

  // For incremental_decoder.h and tests.
  const TokenizerParts& parts() const { return *parts_; }

 private:
  explicit Tokenizer(std::unique_ptr<const TokenizerParts> parts);
  std::unique_ptr<const TokenizerParts> parts_;
};

}  // namespace tenon::text
