#include "text/unigram_model.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "text/byte_pieces.h"
#include "text/unigram_search.h"

namespace tenon::text {

using data::Json;

namespace {

constexpr double kUnkPenalty = 10;

Error missing_unk(std::string_view text) {
  return Error(ErrorCode::BadInput,
               "the text has a character without a token, and the model has no unk_id")
      .at(text);
}

}  // namespace

class UnigramRun : public TokenModel::Run {
 public:
  explicit UnigramRun(const UnigramModel& model)
      : model_(model),
        search_(model.trie_, model.config_.scores, model.config_.unk, model.unk_score_) {}

  void encode(std::string_view piece, std::vector<int32_t>& ids) override {
    if (piece.empty()) return;
    const auto& parts = search_.run(piece);
    for (size_t i = 0; i < parts.size();) {
      if (parts[i].slot != model_.config_.unk) {
        ids.push_back(model_.config_.vocabulary.id_of(parts[i++].slot));
        continue;
      }
      // Neighbouring unknown characters are one token.
      size_t begin = parts[i].begin, end = begin;
      for (; i < parts.size() && parts[i].slot == model_.config_.unk; ++i) end = parts[i].end;
      encode_unknown(piece.substr(begin, end - begin), ids);
    }
  }

 private:
  void encode_unknown(std::string_view text, std::vector<int32_t>& ids) {
    const Vocabulary& vocabulary = model_.config_.vocabulary;
    // Scores of a strange vocabulary can prefer two unknown characters to the piece they spell.
    int32_t slot = text.size() <= kMostTokenBytes ? vocabulary.find(text) : Vocabulary::kNone;
    if (slot >= 0) return ids.push_back(vocabulary.id_of(slot));
    if (model_.config_.byte_fallback && append_byte_slots(model_.byte_slots_, text, ids)) return;
    if (model_.config_.unk < 0) throw missing_unk(text);
    ids.push_back(vocabulary.id_of(model_.config_.unk));
  }

  const UnigramModel& model_;
  UnigramSearch<double> search_;
};

UnigramModel::UnigramModel(UnigramConfig config)
    : config_(std::move(config)), byte_slots_(find_byte_slots(config_.vocabulary)) {
  std::vector<ByteTrie::Entry> entries;
  double lowest = std::numeric_limits<double>::infinity();
  for (int32_t slot = 0; slot < config_.vocabulary.size(); ++slot) {
    entries.emplace_back(config_.vocabulary.text_of(slot), slot);
    lowest = std::min(lowest, config_.scores[slot]);
  }
  trie_ = ByteTrie(std::move(entries));
  unk_score_ = lowest - kUnkPenalty;
}

std::unique_ptr<TokenModel::Run> UnigramModel::make_run(size_t) const {
  return std::make_unique<UnigramRun>(*this);
}

namespace {

double read_score(const Component& score) {
  double value = score.json.as_double(score.place);
  if (std::isfinite(value) && std::abs(value) < 1e30) return value;
  throw Error(ErrorCode::BadInput, "score is out of range").at(score.place);
}

// [["<unk>", 0.0], ["▁the", -3.1], ...]: the place in the list is the id.
void read_pieces(const Component& vocab, UnigramConfig& config, ProblemList& problems) {
  std::vector<VocabularyEntry> entries;
  entries.reserve(vocab.size());
  for (size_t i = 0; i < vocab.size(); ++i) {
    problems.collect([&] {
      Component piece = vocab.item(i);
      if (piece.size() != 2) {
        throw Error(ErrorCode::BadInput, "a piece has a text and a score").at(piece.place);
      }
      Component text = piece.item(0);
      check_walked_piece(text.json.as_string(text.place), text.place);
      config.scores.push_back(read_score(piece.item(1)));
      entries.push_back({text.json.as_string(text.place), static_cast<int64_t>(i)});
    });
  }
  config.vocabulary = Vocabulary(std::move(entries), vocab.place, problems);
}

}  // namespace

std::unique_ptr<const TokenModel> make_unigram_model(const Component& model,
                                                     ProblemList& problems) {
  ProblemList own;
  UnigramConfig config;
  own.collect([&] { read_pieces(model.member("vocab"), config, own); });
  own.collect([&] {
    if (!model.has("unk_id")) return;
    int64_t most = std::max(config.vocabulary.size() - 1, 0);
    config.unk = static_cast<int32_t>(model.number("unk_id", 0, most));
  });
  own.collect([&] {
    config.byte_fallback = model.flag("byte_fallback", false);
    if (config.vocabulary.size() > 0 || !own.empty()) return;
    throw Error(ErrorCode::BadInput, "the vocabulary is empty").at(model.place + ".vocab");
  });
  bool good = own.empty();
  own.move_to(problems);
  return good ? std::make_unique<UnigramModel>(std::move(config)) : nullptr;
}

Json UnigramModel::to_json() const {
  Json::Array vocab;
  vocab.reserve(config_.scores.size());
  for (int32_t slot = 0; slot < config_.vocabulary.size(); ++slot) {
    vocab.push_back(Json::Array{config_.vocabulary.text_of(slot), config_.scores[slot]});
  }
  Json model = Json::object();
  model.set("type", "Unigram");
  model.set("unk_id", config_.unk < 0 ? Json() : Json(config_.unk));
  model.set("byte_fallback", config_.byte_fallback);
  model.set("vocab", std::move(vocab));
  return model;
}

}  // namespace tenon::text
