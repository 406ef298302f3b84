#include <functional>

#include "base/text.h"
#include "text/tokenizer_files.h"
#include "text/tokenizer_parts.h"

namespace tenon::text {

using data::Json;

namespace {

constexpr std::string_view kGpt2Special = "<|endoftext|>";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::string checked_class(const TokenizerFiles& files) {
  std::string kind = files.tokenizer_class();
  if (kind.empty()) return "GPT2Tokenizer";
  if (kind == "GPT2Tokenizer" || kind == "Qwen2Tokenizer" || kind == "WhisperTokenizer")
    return kind;
  throw Error(ErrorCode::Unsupported, "vocab.json of this kind of tokenizer is not supported")
      .at("tokenizer_config.json: tokenizer_class")
      .got(kind)
      .accepted("GPT2Tokenizer, Qwen2Tokenizer or WhisperTokenizer")
      .fix("save the tokenizer with its tokenizer.json");
}

Json read_merges(const TokenizerFiles& files) {
  Json::Array merges;
  for (std::string& line : split(files.text("merges.txt", kLimits.json_bytes), '\n')) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty() && !line.starts_with("#version")) merges.emplace_back(std::move(line));
  }
  return merges;
}

Json read_folder(const TokenizerFiles& files, SpecialTokenNames& names) {
  if (files.has("tokenizer.json")) return files.json("tokenizer.json");
  if (files.has("vocab.json") && files.has("merges.txt")) return read_vocab_json_folder(files);
  if (!model_file_name(files).empty()) return read_model_file_folder(files, names);
  if (files.has("vocab.txt")) return read_vocab_txt_folder(files);
  throw Error(ErrorCode::BadInput, "folder has no tokenizer")
      .accepted(
          "tokenizer.json, vocab.json with merges.txt, tokenizer.model, spiece.model or vocab.txt");
}

}  // namespace

Json read_vocab_json_folder(const TokenizerFiles& files) {
  std::string kind = checked_class(files);
  Json vocab = files.json("vocab.json");
  IdsByText find_id(vocab, "vocab.json");
  AddedTokenList added;
  added.add_files(files, std::cref(find_id));
  added.add_special(std::string(kGpt2Special), std::cref(find_id));
  Json byte_level =
      Json::Object{{"type", "ByteLevel"},
                   {"add_prefix_space", files.config().get_bool("add_prefix_space", false)},
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
  Json model = Json::Object{{"type", "BPE"}, {"merges", read_merges(files)}};
  model.set("vocab", std::move(vocab));
  return Json::Object{{"version", "1.0"},         {"added_tokens", added.json()},
                      {"normalizer", normalizer}, {"pre_tokenizer", pre_tokenizer},
                      {"post_processor", Json()}, {"decoder", Json::Object{{"type", "ByteLevel"}}},
                      {"model", std::move(model)}};
}

bool Tokenizer::is_in_folder(const std::string& path) {
  TokenizerFiles files(path);
  return files.has("tokenizer.json") || (files.has("vocab.json") && files.has("merges.txt")) ||
         !model_file_name(files).empty() || files.has("vocab.txt");
}

std::shared_ptr<const Tokenizer> Tokenizer::from_folder(const std::string& path) {
  try {
    TokenizerFiles files(path);
    SpecialTokenNames names = files.names();
    Json json = read_folder(files, names);
    return std::shared_ptr<const Tokenizer>(new Tokenizer(make_tokenizer_parts(json, names)));
  } catch (Error& error) {
    error.within(path);
    throw;
  }
}

}  // namespace tenon::text
