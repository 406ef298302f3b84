#include "text/tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "text/tokenizer_parts.h"

namespace tenon::text {
namespace {

void check_text(std::string_view text) {
  if (static_cast<int64_t>(text.size()) > kLimits.prompt_bytes) {
    throw Error(ErrorCode::BadInput, "text is too long")
        .got(format_bytes(text.size()))
        .accepted("at most " + format_bytes(static_cast<uint64_t>(kLimits.prompt_bytes)));
  }
  if (!is_valid_utf8(text)) {
    throw Error(ErrorCode::BadInput, "text is not valid UTF-8").fix("convert the text to UTF-8");
  }
}

// Normalises one stretch of text and cuts it at the added tokens to be found after that.
void add_normalised(const TokenizerParts& parts, std::string_view text, bool at_start,
                    bool parse_special, Pieces& pieces) {
  NormalText normal{std::string(text), true};
  if (parts.normalizer) parts.normalizer->apply(normal);
  std::vector<AddedSplit> splits;
  parts.added.split(normal.text, true, parse_special, splits);
  auto base = static_cast<uint32_t>(pieces.text.size());
  for (const AddedSplit& split : splits) {
    int32_t id = split.token < 0 ? -1 : parts.added.tokens()[split.token].id;
    bool first = at_start && normal.keeps_start && split.begin == 0;
    pieces.items.push_back({base + static_cast<uint32_t>(split.begin),
                            base + static_cast<uint32_t>(split.end), id, first});
  }
  if (pieces.text.empty()) {
    pieces.text = std::move(normal.text);
  } else {
    append_checked(pieces.text, normal.text);
  }
}

Pieces find_added(const TokenizerParts& parts, std::string_view text, bool parse_special) {
  std::vector<AddedSplit> splits;
  parts.added.split(text, false, parse_special, splits);
  Pieces pieces;
  for (const AddedSplit& split : splits) {
    std::string_view part = text.substr(split.begin, split.end - split.begin);
    if (split.token < 0) {
      add_normalised(parts, part, split.begin == 0, parse_special, pieces);
      continue;
    }
    auto place = static_cast<uint32_t>(pieces.text.size());
    pieces.items.push_back({place, place, parts.added.tokens()[split.token].id, false});
  }
  return pieces;
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

std::shared_ptr<const Tokenizer> Tokenizer::from_json(std::string_view json_text,
                                                      const SpecialTokenNames& names) {
  data::Json json = data::parse_json(json_text);
  return std::shared_ptr<const Tokenizer>(new Tokenizer(make_tokenizer_parts(json, names)));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  check_text(text);
  Pieces pieces = find_added(*parts_, text, options.parse_special);
  if (parts_->pre_tokenizer) parts_->pre_tokenizer->apply(pieces);
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  std::unique_ptr<TokenModel::Run> run = parts_->model->make_run(text.size());
  for (const Piece& piece : pieces.items) {
    if (piece.token >= 0) {
      ids.push_back(piece.token);
    } else {
      run->encode(pieces.view(piece), ids);
    }
  }
  if (options.add_special_tokens && parts_->post_processor) parts_->post_processor->apply(ids);
  return ids;
}

void push_token(const TokenizerParts& parts, int32_t id, bool skip_special, DecoderStage& stage) {
  if (const AddedToken* added = parts.added.find_id(id)) {
    if (!added->special || !skip_special) stage.push(added->content, true);
    return;
  }
  const Vocabulary& vocabulary = parts.model->vocabulary();
  int32_t slot = vocabulary.slot_of_id(id);
  if (slot >= 0) stage.push(vocabulary.text_of(slot), true);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string out;
  std::unique_ptr<DecoderStage> stage = parts_->decoder->make_stage(make_text_sink(out), {});
  for (int32_t id : ids) push_token(*parts_, id, skip_special, *stage);
  stage->finish();
  return out;
}

int64_t Tokenizer::vocabulary_size() const {
  const Vocabulary& vocabulary = parts_->model->vocabulary();
  int64_t size = vocabulary.size();
  for (const AddedToken& token : parts_->added.tokens())
    size += vocabulary.slot_of_id(token.id) < 0;
  return size;
}

int32_t Tokenizer::largest_id() const {
  int32_t largest = parts_->model->vocabulary().largest_id();
  for (const AddedToken& token : parts_->added.tokens()) largest = std::max(largest, token.id);
  return largest;
}

std::optional<std::string> Tokenizer::token_text(int32_t id) const {
  if (const AddedToken* added = parts_->added.find_id(id)) return added->content;
  const Vocabulary& vocabulary = parts_->model->vocabulary();
  int32_t slot = vocabulary.slot_of_id(id);
  if (slot < 0) return std::nullopt;
  return std::string(vocabulary.text_of(slot));
}

std::optional<int32_t> Tokenizer::token_id(std::string_view text) const {
  if (const AddedToken* added = parts_->added.find_text(text)) return added->id;
  const Vocabulary& vocabulary = parts_->model->vocabulary();
  int32_t slot = vocabulary.find(text);
  if (slot < 0) return std::nullopt;
  return vocabulary.id_of(slot);
}

bool Tokenizer::is_special(int32_t id) const {
  const AddedToken* added = parts_->added.find_id(id);
  return added && added->special;
}

std::optional<int32_t> Tokenizer::bos() const {
  return parts_->bos;
}
std::optional<int32_t> Tokenizer::eos() const {
  return parts_->eos;
}
std::optional<int32_t> Tokenizer::pad() const {
  return parts_->pad;
}
std::optional<int32_t> Tokenizer::unk() const {
  return parts_->unk;
}

}  // namespace tenon::text
