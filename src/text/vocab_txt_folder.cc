#include <functional>

#include "base/text.h"
#include "text/tokenizer_files.h"

namespace tenon::text {

using data::Json;

namespace {

constexpr std::string_view kFile = "vocab.txt";

// One token a line; the line is the id.
Json read_lines(const TokenizerFiles& files) {
  std::vector<std::string> lines = split(files.text(kFile, kLimits.json_bytes), '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  Json::Object vocab;
  vocab.reserve(lines.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string& line = lines[i];
    if (line.ends_with('\r')) line.pop_back();
    if (!is_valid_utf8(line)) {
      throw Error(ErrorCode::BadInput, "line is not valid UTF-8")
          .at(kFile)
          .at("line " + std::to_string(i + 1));
    }
    vocab.emplace_back(std::move(line), static_cast<int64_t>(i));
  }
  return vocab;
}

void check_class(const TokenizerFiles& files) {
  std::string kind = files.tokenizer_class();
  for (std::string_view known :
       {"", "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer"}) {
    if (kind == known) return;
  }
  throw Error(ErrorCode::Unsupported, "vocab.txt of this kind of tokenizer is not supported")
      .at("tokenizer_config.json: tokenizer_class")
      .got(kind)
      .accepted("BertTokenizer, DistilBertTokenizer, ElectraTokenizer or MobileBertTokenizer")
      .fix("save the tokenizer with its tokenizer.json");
}

Json normalizer_of(const Json& config) {
  const Json* strip = config.find("strip_accents");
  return Json::Object{{"type", "BertNormalizer"},
                      {"clean_text", true},
                      {"handle_chinese_chars", config.get_bool("tokenize_chinese_chars", true)},
                      {"strip_accents", strip ? *strip : Json()},
                      {"lowercase", config.get_bool("do_lower_case", true)}};
}

}  // namespace

Json read_vocab_txt_folder(const TokenizerFiles& files) {
  check_class(files);
  Json vocab = read_lines(files);
  IdsByText find_id(vocab, kFile);
  AddedTokenList added;
  auto role = [&](std::string_view key, std::string_view otherwise) {
    std::string name = files.role(key);
    if (name.empty()) name = otherwise;
    added.add_special(name, std::cref(find_id));
    return name;
  };
  auto framing = [&](std::string_view key, std::string_view otherwise) {
    std::string name = role(key, otherwise);
    std::optional<int64_t> id = find_id(name);
    if (id) return Json(Json::Array{name, *id});
    throw Error(ErrorCode::BadInput, "vocabulary has no such token").at(kFile).got(name);
  };
  added.add_files(files, std::cref(find_id));
  std::string unk = role("unk_token", "[UNK]");
  role("pad_token", "[PAD]");
  role("mask_token", "[MASK]");
  Json post_processor = Json::Object{{"type", "BertProcessing"},
                                     {"sep", framing("sep_token", "[SEP]")},
                                     {"cls", framing("cls_token", "[CLS]")}};
  Json model = Json::Object{{"type", "WordPiece"},
                            {"unk_token", unk},
                            {"continuing_subword_prefix", "##"},
                            {"max_input_chars_per_word", 100}};
  model.set("vocab", std::move(vocab));
  return Json::Object{
      {"version", "1.0"},
      {"added_tokens", added.json()},
      {"normalizer", normalizer_of(files.config())},
      {"pre_tokenizer", Json::Object{{"type", "BertPreTokenizer"}}},
      {"post_processor", post_processor},
      {"decoder", Json::Object{{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
      {"model", std::move(model)}};
}

}  // namespace tenon::text
