#include <algorithm>
#include <map>

#include "base/file.h"
#include "base/text.h"
#include "text/tokenizer_parts.h"

namespace tenon::text {

using data::Json;

namespace {

constexpr std::string_view kGpt2Special = "<|endoftext|>";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

class Folder {
 public:
  explicit Folder(const std::string& path) : path_(path) {}

  bool has(std::string_view name) const { return file_exists(path_ + "/" + std::string(name)); }
  std::string path_of(std::string_view name) const { return resolve_in_folder(path_, name); }
  // Null where there is no such file.
  Json json(std::string_view name) const {
    return has(name) ? data::read_json_file(path_of(name)) : Json();
  }
  std::string text(std::string_view name) const {
    return read_text_file(path_of(name), kLimits.json_bytes);
  }

 private:
  std::string path_;
};

// A token is written as a string or as an object with its content.
std::string token_content(const Json* value) {
  if (value && value->is_object()) value = value->find("content");
  return value && value->is_string() ? value->as_string("") : std::string();
}

std::string role_name(const Json& config, const Json& map, std::string_view key) {
  std::string name = token_content(config.find(key));
  return name.empty() ? token_content(map.find(key)) : name;
}

SpecialTokenNames read_names(const Folder& folder) {
  Json config = folder.json("tokenizer_config.json"), map = folder.json("special_tokens_map.json");
  return {role_name(config, map, "bos_token"), role_name(config, map, "eos_token"),
          role_name(config, map, "pad_token"), role_name(config, map, "unk_token")};
}

// What a folder of the older form says beside vocab.json and merges.txt.
class OldFolder {
 public:
  explicit OldFolder(const Folder& folder)
      : folder_(folder),
        config_(folder.json("tokenizer_config.json")),
        map_(folder.json("special_tokens_map.json")),
        vocab_(folder.json("vocab.json")) {}

  Json tokenizer() {
    std::string kind = kind_name();
    Json model = Json::object();
    model.set("type", "BPE");
    model.set("merges", merges());
    Json added = added_tokens();
    model.set("vocab", std::move(vocab_));
    Json byte_level =
        Json::Object{{"type", "ByteLevel"},
                     {"add_prefix_space", config_.get_bool("add_prefix_space", false)},
                     {"trim_offsets", false},
                     {"use_regex", kind != "Qwen2Tokenizer"}};
    Json pre_tokenizer = byte_level, normalizer;
    if (kind == "Qwen2Tokenizer") {
      normalizer = Json::Object{{"type", "NFC"}};
      Json split = Json::Object{{"type", "Split"},
                                {"pattern", Json::Object{{"Regex", kQwen2Pattern}}},
                                {"behavior", "Isolated"},
                                {"invert", false}};
      pre_tokenizer =
          Json::Object{{"type", "Sequence"}, {"pretokenizers", Json::Array{split, byte_level}}};
    }
    return Json::Object{
        {"version", "1.0"},         {"added_tokens", std::move(added)},
        {"normalizer", normalizer}, {"pre_tokenizer", pre_tokenizer},
        {"post_processor", Json()}, {"decoder", Json::Object{{"type", "ByteLevel"}}},
        {"model", std::move(model)}};
  }

 private:
  std::string kind_name() const {
    std::string kind = config_.get_string("tokenizer_class", "GPT2Tokenizer");
    if (kind.ends_with("Fast")) kind.resize(kind.size() - 4);
    if (kind == "GPT2Tokenizer" || kind == "Qwen2Tokenizer" || kind == "WhisperTokenizer")
      return kind;
    throw Error(ErrorCode::Unsupported, "vocab.json of this kind of tokenizer is not supported")
        .at("tokenizer_config.json: tokenizer_class")
        .got(kind)
        .accepted("GPT2Tokenizer, Qwen2Tokenizer or WhisperTokenizer")
        .fix("save the tokenizer with its tokenizer.json");
  }

  Json merges() const {
    Json::Array merges;
    for (std::string& line : split(folder_.text("merges.txt"), '\n')) {
      if (line.ends_with('\r')) line.pop_back();
      if (!line.empty() && !line.starts_with("#version")) merges.emplace_back(std::move(line));
    }
    return merges;
  }

  void add(std::string content, int64_t id, bool special) {
    AddedToken& token = added_[content];
    token.id = checked_id(content, id);
    token.special = token.special || special;
    token.normalized = !token.special;
    token.content = std::move(content);
  }

  static int32_t checked_id(const std::string& content, int64_t id) {
    if (id >= 0 && id <= kMostTokenId) return static_cast<int32_t>(id);
    throw Error(ErrorCode::BadInput, "token id out of range").at(content).got(std::to_string(id));
  }

  // A token with a role, if it has an id.
  void add_special(const std::string& content) {
    if (content.empty()) return;
    auto known = added_.find(content);
    if (known != added_.end()) return add(content, known->second.id, true);
    const Json* id = vocab_.find(content);
    if (id) add(content, id->as_int("vocab.json"), true);
  }

  Json added_tokens() {
    Json extra = folder_.json("added_tokens.json");
    if (!extra.is_null()) {
      for (const auto& [content, id] : extra.as_object("added_tokens.json")) {
        add(content, id.as_int("added_tokens.json"), false);
      }
    }
    add_from_config();
    for (const Json* source : {&config_, &map_}) {
      for (std::string_view key : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
        add_special(token_content(source->find(key)));
      }
      const Json* more = source->find("additional_special_tokens");
      if (!more || !more->is_array()) continue;
      for (const Json& token : more->as_array("")) add_special(token_content(&token));
    }
    add_special(std::string(kGpt2Special));
    Json::Array list;
    for (const auto& [content, token] : added_) list.push_back(to_json(token));
    return list;
  }

  // tokenizer_config.json: {"added_tokens_decoder": {"50257": {"content": ..., "special": ...}}}
  void add_from_config() {
    const Json* listed = config_.find("added_tokens_decoder");
    if (!listed) return;
    for (const auto& [id, value] :
         listed->as_object("tokenizer_config.json: added_tokens_decoder")) {
      Json entry = value;
      entry.set("id", static_cast<int64_t>(std::strtoll(id.c_str(), nullptr, 10)));
      Json list = Json::Array{entry};
      AddedToken token =
          read_added_tokens({list, "tokenizer_config.json: added_tokens_decoder." + id})[0];
      added_[token.content] = token;
    }
  }

  const Folder& folder_;
  Json config_, map_, vocab_;
  std::map<std::string, AddedToken> added_;  // ordered, so that the result is the same each time
};

}  // namespace

std::shared_ptr<const Tokenizer> Tokenizer::from_folder(const std::string& path) {
  Folder folder(path);
  if (!folder.has("tokenizer.json") && !(folder.has("vocab.json") && folder.has("merges.txt"))) {
    throw Error(ErrorCode::BadInput, "folder has no tokenizer")
        .at(path)
        .accepted("tokenizer.json, or vocab.json with merges.txt");
  }
  try {
    bool newer = folder.has("tokenizer.json");
    Json json = newer ? folder.json("tokenizer.json") : OldFolder(folder).tokenizer();
    return std::shared_ptr<const Tokenizer>(
        new Tokenizer(make_tokenizer_parts(json, read_names(folder))));
  } catch (Error& error) {
    error.within(path);
    throw;
  }
}

}  // namespace tenon::text
