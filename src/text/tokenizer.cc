#include "text/tokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "text/repaired_text.h"
#include "text/tokenizer_parts.h"

namespace tenon::text {
namespace {

void check_length(std::string_view text) {
  if (static_cast<int64_t>(text.size()) > kLimits.prompt_bytes) {
    throw Error(ErrorCode::BadInput, "text is too long")
        .got(format_bytes(text.size()))
        .accepted("at most " + format_bytes(static_cast<uint64_t>(kLimits.prompt_bytes)));
  }
}

// The parts of ranges that lie in [begin, end), counted from `begin`.
std::vector<ByteRange> clipped(std::span<const ByteRange> ranges, size_t begin, size_t end) {
  std::vector<ByteRange> inside;
  auto first = std::ranges::lower_bound(ranges, begin, std::ranges::less_equal{}, &ByteRange::end);
  for (; first != ranges.end() && first->begin < end; ++first) {
    inside.push_back({std::max(first->begin, begin) - begin, std::min(first->end, end) - begin});
  }
  return inside;
}

// Where ranges of `text` lie in its normal form. Stretches are normalised one by one and looked for
// in the whole; where that does not fit (a normaliser that looks across), all that follows counts
// as written by users: tokens are rather missed than forged.
std::vector<ByteRange> normalised_ranges(const Normalizer& normalizer, std::string_view text,
                                         std::string_view whole, std::span<const ByteRange> plain) {
  constexpr std::string_view kMark = "\u2581";  // which Prepend puts before each text
  std::vector<ByteRange> ranges;
  size_t done = 0, place = 0;
  auto pass = [&](size_t end) {
    NormalText part{std::string(text.substr(done, end - done)), true};
    normalizer.apply(part);
    std::string_view normal = part.text, rest = whole.substr(place);
    if (!rest.starts_with(normal) && normal.starts_with(kMark)) normal.remove_prefix(kMark.size());
    done = end;
    if (!rest.starts_with(normal)) return false;
    place += normal.size();
    return true;
  };
  for (const ByteRange& range : plain) {
    bool fits = range.begin == done || pass(range.begin);
    size_t begin = place;
    if (!fits || !pass(range.end)) {
      ranges.push_back({begin, whole.size()});
      return ranges;
    }
    if (begin < place) ranges.push_back({begin, place});
  }
  return ranges;
}

// Normalises one stretch of text and cuts it at the added tokens to be found after that. `options`
// has the plain ranges of this stretch.
void add_normalised(const TokenizerParts& parts, std::string_view text, bool at_start,
                    EncodeOptions options, Pieces& pieces) {
  NormalText normal{std::string(text), true, at_start};
  if (parts.normalizer) parts.normalizer->apply(normal);
  std::vector<ByteRange> plain;
  if (parts.normalizer && parts.added.has_normalized() && !options.plain.empty()) {
    plain = normalised_ranges(*parts.normalizer, text, normal.text, options.plain);
    options.plain = plain;
  }
  std::vector<AddedSplit> splits;
  parts.added.split(normal.text, true, options, splits);
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

Pieces find_added(const TokenizerParts& parts, std::string_view text,
                  const EncodeOptions& options) {
  std::vector<AddedSplit> splits;
  parts.added.split(text, false, options, splits);
  Pieces pieces;
  for (const AddedSplit& split : splits) {
    std::string_view part = text.substr(split.begin, split.end - split.begin);
    if (split.token < 0) {
      std::vector<ByteRange> plain = clipped(options.plain, split.begin, split.end);
      EncodeOptions inside = options;
      inside.plain = plain;
      add_normalised(parts, part, split.begin == 0, inside, pieces);
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
  check_length(text);
  if (!is_valid_utf8(text)) {
    RepairedText repaired = make_repaired_text(text, options.plain, parts_->replacement);
    EncodeOptions moved = options;
    moved.plain = repaired.plain;
    return encode(repaired.text, moved);
  }
  std::vector<ByteRange> plain = whole_char_ranges(text, options.plain);
  EncodeOptions whole = options;
  whole.plain = plain;
  Pieces pieces = find_added(*parts_, text, whole);
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
    if (!added->special || !skip_special) stage.push(added->shown, true);
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
