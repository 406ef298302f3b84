#include <algorithm>

#include "text/bpe_model.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer_parts.h"
#include "text/unigram_model.h"
#include "text/word_piece_model.h"

namespace tenon::text {

using data::Json;

namespace {

constexpr int kSerialisedVersion = 1;

// Old files leave the type out.
std::string model_type(const Component& model) {
  return model.text("type", model.has("merges")                      ? "BPE"
                            : model.has("continuing_subword_prefix") ? "WordPiece"
                                                                     : "none");
}

Json part_of(const Json& json, std::string_view key) {
  const Json* value = json.find(key);
  return value ? *value : Json();
}

void check_version(const Component& root) {
  std::string version = root.text("version", "1.0");
  if (version != "1.0") {
    throw Error(ErrorCode::Unsupported, "unknown tokenizer.json version")
        .at("version")
        .got(version)
        .accepted("1.0");
  }
}

std::optional<int32_t> role(const TokenizerParts& parts, const std::string& name) {
  if (name.empty()) return std::nullopt;
  if (const AddedToken* added = parts.added.find_text(name)) return added->id;
  int32_t slot = parts.model->vocabulary().find(name);
  if (slot < 0) return std::nullopt;
  return parts.model->vocabulary().id_of(slot);
}

// The four components that are kept as JSON too.
void make_components(TokenizerParts& parts, const Json& json, ProblemList& problems) {
  parts.normalizer_json = part_of(json, "normalizer");
  parts.pre_tokenizer_json = part_of(json, "pre_tokenizer");
  parts.post_processor_json = part_of(json, "post_processor");
  parts.decoder_json = part_of(json, "decoder");
  problems.collect([&] {
    parts.normalizer = make_normalizer({parts.normalizer_json, "normalizer"});
  });
  problems.collect([&] {
    parts.pre_tokenizer = make_pre_tokenizer({parts.pre_tokenizer_json, "pre_tokenizer"});
  });
  problems.collect([&] {
    parts.post_processor = make_post_processor({parts.post_processor_json, "post_processor"});
  });
  problems.collect([&] { parts.decoder = make_decoder({parts.decoder_json, "decoder"}); });
}

}  // namespace

std::unique_ptr<const TokenModel> make_token_model(const Component& component,
                                                   ProblemList& problems) {
  std::unique_ptr<const TokenModel> model;
  problems.collect([&] {
    std::string type = model_type(component);
    if (type == "BPE") {
      model = make_bpe_model(component, problems);
    } else if (type == "WordPiece") {
      model = make_word_piece_model(component, problems);
    } else if (type == "Unigram") {
      model = make_unigram_model(component, problems);
    } else if (type == "WordLevel") {
      model = make_word_level_model(component, problems);
    } else if (type == "SentencePiece") {
      model = make_sentencepiece_model(component, problems);
    } else {
      throw unsupported_component(component, "tokenizer model",
                                  "BPE, WordPiece, Unigram or WordLevel");
    }
  });
  return model;
}

std::unique_ptr<const TokenizerParts> make_tokenizer_parts(const Json& json,
                                                           const SpecialTokenNames& names) {
  auto parts = std::make_unique<TokenizerParts>();
  Component root{json, ""};
  json.as_object("tokenizer.json");
  ProblemList problems;
  problems.collect([&] { check_version(root); });
  make_components(*parts, json, problems);
  problems.collect([&] { parts->model = make_token_model(root.member("model"), problems); });
  std::vector<AddedToken> added;
  problems.collect([&] {
    if (root.has("added_tokens")) added = read_added_tokens(root.member("added_tokens"));
  });
  if (parts->model) {
    problems.collect([&] {
      parts->added = AddedTokens(std::move(added), parts->model->vocabulary(),
                                 parts->normalizer.get(), problems);
    });
  }
  problems.throw_if_any();
  if (parts->normalizer_json.get_string("type", "") == "SentencePiece") {
    parts->replacement = Utf8Assembler::Replacement::EachByte;
  }
  parts->names = names;
  parts->bos = role(*parts, names.bos);
  parts->eos = role(*parts, names.eos);
  parts->pad = role(*parts, names.pad);
  parts->unk = role(*parts, names.unk);
  return parts;
}

std::string Tokenizer::serialise() const {
  std::vector<AddedToken> added = parts_->added.tokens();
  std::sort(added.begin(), added.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  Json::Array added_json;
  for (const AddedToken& token : added) added_json.push_back(to_json(token));
  const SpecialTokenNames& names = parts_->names;
  Json roles =
      Json::Object{{"bos", names.bos}, {"eos", names.eos}, {"pad", names.pad}, {"unk", names.unk}};
  Json tokenizer = Json::Object{{"version", "1.0"},
                                {"added_tokens", std::move(added_json)},
                                {"normalizer", parts_->normalizer_json},
                                {"pre_tokenizer", parts_->pre_tokenizer_json},
                                {"post_processor", parts_->post_processor_json},
                                {"decoder", parts_->decoder_json},
                                {"model", parts_->model->to_json()}};
  Json whole = Json::Object{{"tenon_tokenizer", kSerialisedVersion},
                            {"roles", std::move(roles)},
                            {"tokenizer", std::move(tokenizer)}};
  return whole.dump();
}

std::shared_ptr<const Tokenizer> Tokenizer::from_serialised(std::string_view bytes) {
  Json whole = data::parse_json(bytes);
  int64_t version = whole.at("tenon_tokenizer", "tokenizer").as_int("tenon_tokenizer");
  if (version != kSerialisedVersion) {
    throw Error(ErrorCode::WrongPlan, "the tokenizer was written in another version of the format")
        .got(std::to_string(version))
        .accepted(std::to_string(kSerialisedVersion));
  }
  const Json& roles = whole.at("roles", "tokenizer");
  SpecialTokenNames names{roles.get_string("bos", ""), roles.get_string("eos", ""),
                          roles.get_string("pad", ""), roles.get_string("unk", "")};
  return std::shared_ptr<const Tokenizer>(
      new Tokenizer(make_tokenizer_parts(whole.at("tokenizer", "tokenizer"), names)));
}

}  // namespace tenon::text
