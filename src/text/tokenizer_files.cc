#include "text/tokenizer_files.h"

#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/number.h"

namespace tenon::text {

using data::Json;

namespace {

// A token is written as a string or as an object with its content.
std::string token_content(const Json* value) {
  if (value && value->is_object()) value = value->find("content");
  return value && value->is_string() ? value->as_string("") : std::string();
}

int32_t checked_id(const std::string& content, int64_t id) {
  if (id >= 0 && id <= kMostTokenId) return static_cast<int32_t>(id);
  throw Error(ErrorCode::BadInput, "token id out of range").at(content).got(std::to_string(id));
}

}  // namespace

TokenizerFiles::TokenizerFiles(const std::string& folder)
    : folder_(folder),
      config_(json("tokenizer_config.json")),
      map_(json("special_tokens_map.json")) {}

bool TokenizerFiles::has(std::string_view name) const {
  return file_exists(folder_ + "/" + std::string(name));
}

std::string TokenizerFiles::path_of(std::string_view name) const {
  return resolve_in_folder(folder_, name);
}

std::string TokenizerFiles::text(std::string_view name, int64_t most_bytes) const {
  return read_text_file(path_of(name), most_bytes);
}

Json TokenizerFiles::json(std::string_view name) const {
  return has(name) ? data::read_json_file(path_of(name)) : Json();
}

std::string TokenizerFiles::role(std::string_view key) const {
  std::string name = token_content(config_.find(key));
  return name.empty() ? token_content(map_.find(key)) : name;
}

SpecialTokenNames TokenizerFiles::names() const {
  return {role("bos_token"), role("eos_token"), role("pad_token"), role("unk_token")};
}

std::string TokenizerFiles::tokenizer_class() const {
  std::string kind = config_.get_string("tokenizer_class", "");
  if (kind.ends_with("Fast")) kind.resize(kind.size() - 4);
  return kind;
}

IdsByText::IdsByText(const Json& vocab, std::string_view place) {
  for (const auto& [text, id] : vocab.as_object(place)) ids_.emplace(text, id.as_int(place));
}

std::optional<int64_t> IdsByText::operator()(std::string_view text) const {
  auto found = ids_.find(text);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

void AddedTokenList::add(std::string content, int64_t id, bool special) {
  AddedToken& token = added_[content];
  token.id = checked_id(content, id);
  token.special = token.special || special;
  token.normalized = !token.special;
  token.content = std::move(content);
}

void AddedTokenList::add_special(const std::string& content, const FindId& find_id) {
  if (content.empty()) return;
  auto known = added_.find(content);
  if (known != added_.end()) return add(content, known->second.id, true);
  if (std::optional<int64_t> id = find_id(content)) add(content, *id, true);
}

void AddedTokenList::add_files(const TokenizerFiles& files, const FindId& find_id) {
  Json extra = files.json("added_tokens.json");
  if (!extra.is_null()) {
    for (const auto& [content, id] : extra.as_object("added_tokens.json")) {
      add(content, id.as_int("added_tokens.json"), false);
    }
  }
  add_from_config(files.config());
  for (const Json* source : {&files.config(), &files.map()}) {
    for (std::string_view key : {"bos_token", "eos_token", "unk_token", "pad_token", "cls_token",
                                 "sep_token", "mask_token"}) {
      add_special(token_content(source->find(key)), find_id);
    }
    const Json* more = source->find("additional_special_tokens");
    if (!more || !more->is_array()) continue;
    for (const Json& token : more->as_array("")) add_special(token_content(&token), find_id);
  }
}

// tokenizer_config.json: {"added_tokens_decoder": {"50257": {"content": ..., "special": ...}}}
void AddedTokenList::add_from_config(const Json& config) {
  const Json* listed = config.find("added_tokens_decoder");
  if (!listed) return;
  for (const auto& [id, value] : listed->as_object("tokenizer_config.json: added_tokens_decoder")) {
    std::optional<int64_t> number = parse_number<int64_t>(id);
    if (!number) {
      Error error(ErrorCode::BadInput, "not a token id");
      throw error.at("tokenizer_config.json: added_tokens_decoder").got(id);
    }
    Json entry = value;
    entry.set("id", *number);
    Json list = Json::Array{entry};
    AddedToken token =
        read_added_tokens({list, "tokenizer_config.json: added_tokens_decoder." + id})[0];
    added_[token.content] = token;
  }
}

Json AddedTokenList::json() const {
  Json::Array list;
  for (const auto& [content, token] : added_) list.push_back(to_json(token));
  return list;
}

}  // namespace tenon::text
