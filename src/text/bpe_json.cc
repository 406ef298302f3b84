#include "text/bpe_model.h"
#include "text/byte_pieces.h"

namespace tenon::text {
namespace {

using data::Json;

void refuse_dropout(const Component& model, ProblemList& problems) {
  problems.collect([&] {
    if (!model.has("dropout")) return;
    Component dropout = model.member("dropout");
    double value = dropout.json.as_double(dropout.place);
    if (value == 0) return;
    throw Error(ErrorCode::Unsupported, "BPE with dropout gives other ids each time")
        .at(dropout.place)
        .accepted("null or 0");
  });
}

struct MergeParts {
  std::string_view left, right;
};

// "a b" or ["a", "b"].
MergeParts merge_parts(const Component& merge) {
  if (merge.json.is_array()) {
    if (merge.size() != 2)
      throw Error(ErrorCode::BadInput, "a merge has two parts").at(merge.place);
    Component left = merge.item(0), right = merge.item(1);
    return {left.json.as_string(left.place), right.json.as_string(right.place)};
  }
  std::string_view text = merge.json.as_string(merge.place);
  size_t space = text.find(' ');
  if (space == text.npos || text.find(' ', space + 1) != text.npos) {
    throw Error(ErrorCode::BadInput, "a merge is two parts with one space between")
        .at(merge.place)
        .got(text);
  }
  return {text.substr(0, space), text.substr(space + 1)};
}

MergeTable::Rule merge_rule(const Component& merge, const BpeConfig& config) {
  const Vocabulary& vocabulary = config.vocabulary;
  MergeParts parts = merge_parts(merge);
  if (parts.left.empty() || parts.right.empty() || parts.right.size() < config.prefix.size()) {
    throw Error(ErrorCode::BadInput, "a merge has an empty part").at(merge.place);
  }
  // The right part always has the prefix of a piece that continues a word.
  std::string joined(parts.left);
  joined += parts.right.substr(config.prefix.size());
  auto slot_of = [&](std::string_view text) {
    int32_t slot = vocabulary.find(text);
    if (slot >= 0) return slot;
    throw Error(ErrorCode::BadInput, "merge names a piece that the vocabulary lacks")
        .at(merge.place)
        .got(text);
  };
  return {slot_of(parts.left), slot_of(parts.right), slot_of(joined)};
}

bool is_version_line(const Json& merge) {
  return merge.is_string() && merge.as_string("").starts_with("#version");
}

MergeTable read_merges(const Component& merges, const BpeConfig& config, ProblemList& problems) {
  constexpr size_t kMostMerges = 1 << 24;
  if (merges.size() > kMostMerges) {
    throw Error(ErrorCode::BadInput, "too many merges")
        .at(merges.place)
        .got(std::to_string(merges.size()));
  }
  std::vector<MergeTable::Rule> rules;
  rules.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    problems.collect([&] {
      Component merge = merges.item(i);
      if (!is_version_line(merge.json)) rules.push_back(merge_rule(merge, config));
    });
  }
  return MergeTable(std::move(rules));
}

}  // namespace

std::unique_ptr<const TokenModel> make_bpe_model(const Component& model, ProblemList& problems) {
  ProblemList own;
  BpeConfig config;
  refuse_dropout(model, own);
  own.collect([&] {
    config.unk_token = model.text("unk_token", "");
    config.fuse_unk = model.flag("fuse_unk", false);
    config.byte_fallback = model.flag("byte_fallback", false);
    config.ignore_merges = model.flag("ignore_merges", false);
    config.prefix = model.text("continuing_subword_prefix", "");
    config.suffix = model.text("end_of_word_suffix", "");
    config.merge_by_id = model.flag("merge_by_id", false);
  });
  own.collect([&] { config.vocabulary = read_vocabulary(model.member("vocab"), own); });
  own.collect([&] {
    for (int32_t slot = 0; config.merge_by_id && slot < config.vocabulary.size(); ++slot) {
      check_walked_piece(config.vocabulary.text_of(slot), "id " + std::to_string(slot));
    }
    config.merges = config.merge_by_id ? merges_by_id(config.vocabulary)
                                       : read_merges(model.member("merges"), config, own);
  });
  bool good = own.empty();
  own.move_to(problems);
  return good ? std::make_unique<BpeModel>(std::move(config)) : nullptr;
}

Json BpeModel::to_json() const {
  Json::Array merges;
  merges.reserve(config_.merge_by_id ? 0 : config_.merges.rules().size());
  for (const MergeTable::Rule& rule : config_.merges.rules()) {
    if (config_.merge_by_id) break;
    merges.push_back(
        Json::Array{config_.vocabulary.text_of(rule.left), config_.vocabulary.text_of(rule.right)});
  }
  auto text_or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  Json model = Json::object();
  model.set("type", "BPE");
  model.set("unk_token", text_or_null(config_.unk_token));
  model.set("continuing_subword_prefix", text_or_null(config_.prefix));
  model.set("end_of_word_suffix", text_or_null(config_.suffix));
  model.set("fuse_unk", config_.fuse_unk);
  model.set("byte_fallback", config_.byte_fallback);
  model.set("ignore_merges", config_.ignore_merges);
  if (config_.merge_by_id) model.set("merge_by_id", true);
  model.set("vocab", vocabulary_json(config_.vocabulary));
  model.set("merges", std::move(merges));
  return model;
}

}  // namespace tenon::text
