#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "data/json.h"
#include "text/added_tokens.h"
#include "text/tokenizer.h"

namespace tenon::text {

// The files of a tokenizer beside its main one, as Hugging Face folders have them. All are
// optional.
class TokenizerFiles {
 public:
  explicit TokenizerFiles(const std::string& folder);

  bool has(std::string_view name) const;
  std::string path_of(std::string_view name) const;
  std::string text(std::string_view name, int64_t most_bytes) const;
  data::Json json(std::string_view name) const;  // null where there is no such file

  const data::Json& config() const { return config_; }  // tokenizer_config.json
  const data::Json& map() const { return map_; }        // special_tokens_map.json
  std::string role(std::string_view key) const;         // name of "bos_token", or empty
  SpecialTokenNames names() const;
  // tokenizer_config.json's "tokenizer_class" without "Fast"; empty where it has none.
  std::string tokenizer_class() const;

 private:
  std::string folder_;
  data::Json config_, map_;
};

// The ids of a {"text": id} object.
class IdsByText {
 public:
  IdsByText(const data::Json& vocab, std::string_view place);
  std::optional<int64_t> operator()(std::string_view text) const;

 private:
  std::unordered_map<std::string_view, int64_t> ids_;
};

// Gathers the added tokens that the files name, into the "added_tokens" of a tokenizer.json.
class AddedTokenList {
 public:
  // `find_id` gives the id of a text in the model's vocabulary.
  using FindId = std::function<std::optional<int64_t>(std::string_view text)>;

  void add(std::string content, int64_t id, bool special);
  // A token with a role, if it has an id.
  void add_special(const std::string& content, const FindId& find_id);
  // added_tokens.json, the list in tokenizer_config.json, and all tokens with a role.
  void add_files(const TokenizerFiles& files, const FindId& find_id);
  data::Json json() const;

 private:
  void add_from_config(const data::Json& config);
  std::map<std::string, AddedToken> added_;  // ordered, so that the result is the same each time
};

// The forms of folders without a tokenizer.json. Each returns the JSON of one.
data::Json read_vocab_json_folder(const TokenizerFiles& files);  // vocab.json with merges.txt
data::Json read_vocab_txt_folder(const TokenizerFiles& files);   // BERT's
// SentencePiece's tokenizer.model or spiece.model, or Llama-3's tokenizer.model. Adds to `names`
// what they leave open.
data::Json read_model_file_folder(const TokenizerFiles& files, SpecialTokenNames& names);
// The one of those model files that the folder has, or empty.
std::string model_file_name(const TokenizerFiles& files);

}  // namespace tenon::text
