#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::text {

struct EncodeOptions {
  // Adds what the tokenizer's template adds around a text ("<s>" for Llama).
  bool add_special_tokens = true;
  // Whether "<|im_end|>" in the text becomes that token. Off for text that a user wrote: it then
  // cannot forge the boundaries of a chat.
  bool parse_special = true;
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
  // Reads tokenizer.json; without one, vocab.json + merges.txt with added_tokens.json. Roles come
  // from tokenizer_config.json and special_tokens_map.json. Every problem is in one Error.
  static std::shared_ptr<const Tokenizer> from_folder(const std::string& folder);
  // `json_text` is the content of a tokenizer.json.
  static std::shared_ptr<const Tokenizer> from_json(std::string_view json_text,
                                                    const SpecialTokenNames& names = {});
  // Reads what serialise() wrote.
  static std::shared_ptr<const Tokenizer> from_serialised(std::string_view bytes);
  ~Tokenizer();

  // All that encode and decode need, as JSON text. The same input gives the same bytes.
  std::string serialise() const;

  // Throws ErrorCode::BadInput where the text is not UTF-8 or longer than kLimits.prompt_bytes.
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
