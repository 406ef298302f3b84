#include <algorithm>
#include <functional>

#include "base/file.h"
#include "text/sentencepiece_file.h"
#include "text/tiktoken_file.h"
#include "text/tokenizer_files.h"

namespace tenon::text {

using data::Json;

namespace {

constexpr int64_t kMostFileBytes = 32 << 20;  // published ones have at most 5 MB
constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Where no file says so: what Meta's code for Llama 3 puts behind the ranks.
constexpr std::string_view kLlama3Special[] = {"<|begin_of_text|>",
                                               "<|end_of_text|>",
                                               "<|reserved_special_token_0|>",
                                               "<|reserved_special_token_1|>",
                                               "<|reserved_special_token_2|>",
                                               "<|reserved_special_token_3|>",
                                               "<|start_header_id|>",
                                               "<|end_header_id|>",
                                               "<|reserved_special_token_4|>",
                                               "<|eot_id|>"};
constexpr int kLlama3SpecialCount = 256;

// Classes whose ids are those of the model file; others shift or rewrite them.
struct Family {
  std::string_view tokenizer_class;
  bool adds_bos, adds_eos;
  int64_t extra_ids;  // "<extra_id_0>" ... behind the pieces
};
constexpr Family kFamilies[] = {{"", true, false, 0},
                                {"LlamaTokenizer", true, false, 0},
                                {"CodeLlamaTokenizer", true, false, 0},
                                {"GemmaTokenizer", true, false, 0},
                                {"T5Tokenizer", false, true, 100}};

const Family& family_of(const TokenizerFiles& files, std::string_view file) {
  std::string kind = files.tokenizer_class();
  for (const Family& family : kFamilies) {
    if (family.tokenizer_class == kind) return family;
  }
  throw Error(ErrorCode::Unsupported,
              std::string(file) + " of this kind of tokenizer is not supported")
      .at("tokenizer_config.json: tokenizer_class")
      .got(kind)
      .accepted("LlamaTokenizer, CodeLlamaTokenizer, GemmaTokenizer or T5Tokenizer")
      .fix("save the tokenizer with its tokenizer.json");
}

Json special_piece(const std::string& name) {
  return Json::Object{{"SpecialToken", Json::Object{{"id", name}, {"type_id", 0}}}};
}

// Puts the two tokens around a text; either may be missing.
Json framing(const std::string& before, const std::string& after,
             const AddedTokenList::FindId& find_id) {
  Json::Array single;
  Json tokens = Json::object();
  auto add = [&](const std::string& name) {
    std::optional<int64_t> id = name.empty() ? std::nullopt : find_id(name);
    if (!id) return;
    single.push_back(special_piece(name));
    tokens.set(name, Json::Object{{"id", name}, {"ids", Json::Array{*id}}});
  };
  add(before);
  single.push_back(Json::Object{{"Sequence", Json::Object{{"id", "A"}, {"type_id", 0}}}});
  add(after);
  return Json::Object{{"type", "TemplateProcessing"},
                      {"single", std::move(single)},
                      {"special_tokens", std::move(tokens)}};
}

void fill(std::string& name, const std::string& otherwise) {
  if (name.empty()) name = otherwise;
}

Json sentencepiece_folder(const TokenizerFiles& files, std::string_view file,
                          std::string_view bytes, SpecialTokenNames& names) {
  const Family& family = family_of(files, file);
  const Json& config = files.config();
  bool legacy = config.get_bool("legacy", true);
  SentencePieceFile model = read_sentencepiece_file(bytes, {.prefix_once = !legacy});
  fill(names.bos, model.names.bos);
  fill(names.eos, model.names.eos);
  fill(names.pad, model.names.pad);
  fill(names.unk, model.names.unk);
  Json ids = Json::object();
  for (size_t i = 0; i < model.control.size(); ++i) ids.set(model.control[i], model.control_ids[i]);
  IdsByText find_id(ids, file);
  AddedTokenList added;
  for (const std::string& text : model.control) added.add_special(text, std::cref(find_id));
  int64_t extra = std::clamp<int64_t>(config.get_int("extra_ids", family.extra_ids), 0, 1000);
  for (int64_t i = 0; i < extra; ++i) {
    added.add("<extra_id_" + std::to_string(i) + ">", model.pieces + extra - 1 - i, true);
  }
  added.add_files(files, std::cref(find_id));
  std::string bos = config.get_bool("add_bos_token", family.adds_bos) ? names.bos : "";
  std::string eos = config.get_bool("add_eos_token", family.adds_eos) ? names.eos : "";
  return Json::Object{{"version", "1.0"},
                      {"added_tokens", added.json()},
                      {"normalizer", std::move(model.normalizer)},
                      {"pre_tokenizer", Json()},
                      {"post_processor", framing(bos, eos, std::cref(find_id))},
                      {"decoder", std::move(model.decoder)},
                      {"model", std::move(model.model)}};
}

std::string llama3_special(int index) {
  constexpr int kNamed = std::size(kLlama3Special);
  if (index < kNamed) return std::string(kLlama3Special[index]);
  return "<|reserved_special_token_" + std::to_string(index - kNamed + 5) + "|>";
}

Json tiktoken_folder(const TokenizerFiles& files, std::string_view bytes,
                     SpecialTokenNames& names) {
  Json model = read_tiktoken_file(bytes);
  auto first = static_cast<int64_t>(model.at("vocab", "model").as_object("vocab").size());
  AddedTokenList added;
  Json ids = Json::object();
  for (int i = 0; i < kLlama3SpecialCount; ++i) ids.set(llama3_special(i), first + i);
  IdsByText find_id(ids, "tokenizer.model");
  if (!files.config().find("added_tokens_decoder")) {
    for (const auto& [name, id] : ids.as_object("")) added.add_special(name, std::cref(find_id));
  }
  added.add_files(files, std::cref(find_id));
  fill(names.bos, llama3_special(0));
  fill(names.eos, llama3_special(1));
  Json split = Json::Object{{"type", "Split"},
                            {"pattern", Json::Object{{"Regex", kLlama3Pattern}}},
                            {"behavior", "Isolated"}};
  Json byte_level =
      Json::Object{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  return Json::Object{
      {"version", "1.0"},
      {"added_tokens", added.json()},
      {"normalizer", Json()},
      {"pre_tokenizer",
       Json::Object{{"type", "Sequence"}, {"pretokenizers", Json::Array{split, byte_level}}}},
      {"post_processor", framing(names.bos, "", std::cref(find_id))},
      {"decoder", Json::Object{{"type", "ByteLevel"}}},
      {"model", std::move(model)}};
}

}  // namespace

std::string model_file_name(const TokenizerFiles& files) {
  for (std::string_view name : {"tokenizer.model", "spiece.model"}) {
    if (files.has(name)) return std::string(name);
  }
  return "";
}

Json read_model_file_folder(const TokenizerFiles& files, SpecialTokenNames& names) {
  std::string name = model_file_name(files);
  try {
    std::string bytes = files.text(name, kMostFileBytes);
    if (looks_like_sentencepiece(bytes)) return sentencepiece_folder(files, name, bytes, names);
    if (looks_like_tiktoken(bytes)) return tiktoken_folder(files, bytes, names);
    throw Error(ErrorCode::BadInput, "neither a SentencePiece model nor a tiktoken rank file")
        .fix("save the tokenizer with its tokenizer.json");
  } catch (Error& error) {
    error.within(name);
    throw;
  }
}

}  // namespace tenon::text
