#include "text/word_piece_model.h"

#include "text/byte_pieces.h"

namespace tenon::text {

using data::Json;

namespace {

int32_t unk_id(const Vocabulary& vocabulary, const std::string& unk_token, std::string_view word) {
  int32_t slot = vocabulary.find(unk_token);
  if (slot >= 0) return vocabulary.id_of(slot);
  throw Error(ErrorCode::BadInput,
              "the text has an unknown word, and unk_token is not in the vocabulary")
      .at(word)
      .got(unk_token);
}

int64_t count_chars(std::string_view text) {
  int64_t count = 0;
  for (char c : text) count += (static_cast<uint8_t>(c) & 0xC0) != 0x80;
  return count;
}

}  // namespace

class WordPieceRun : public TokenModel::Run {
 public:
  explicit WordPieceRun(const WordPieceModel& model) : model_(model) {}

  void encode(std::string_view word, std::vector<int32_t>& ids) override {
    size_t begin = ids.size();
    if (count_chars(word) <= model_.config_.most_chars && cut(word, ids)) return;
    ids.resize(begin);
    ids.push_back(unk_id(model_.config_.vocabulary, model_.config_.unk_token, word));
  }

 private:
  bool cut(std::string_view word, std::vector<int32_t>& ids) const {
    const ByteTrie* trie = &model_.first_;
    for (size_t at = 0; at < word.size(); trie = &model_.following_) {
      ByteTrie::Hit hit = trie->longest_prefix(word.substr(at));
      if (hit.length == 0) return false;
      ids.push_back(model_.config_.vocabulary.id_of(hit.value));
      at += hit.length;
    }
    return true;
  }

  const WordPieceModel& model_;
};

WordPieceModel::WordPieceModel(WordPieceConfig config) : config_(std::move(config)) {
  std::vector<ByteTrie::Entry> first, following;
  for (int32_t slot = 0; slot < config_.vocabulary.size(); ++slot) {
    std::string_view text = config_.vocabulary.text_of(slot);
    first.emplace_back(text, slot);
    if (!text.starts_with(config_.prefix)) continue;
    following.emplace_back(text.substr(config_.prefix.size()), slot);
  }
  first_ = ByteTrie(std::move(first));
  following_ = ByteTrie(std::move(following));
}

std::unique_ptr<TokenModel::Run> WordPieceModel::make_run(size_t) const {
  return std::make_unique<WordPieceRun>(*this);
}

std::unique_ptr<const TokenModel> make_word_piece_model(const Component& model,
                                                        ProblemList& problems) {
  ProblemList own;
  WordPieceConfig config;
  own.collect([&] {
    config.unk_token = model.text("unk_token", config.unk_token);
    config.prefix = model.text("continuing_subword_prefix", config.prefix);
  });
  own.collect([&] {
    constexpr std::string_view kMost = "max_input_chars_per_word";
    if (model.has(kMost)) config.most_chars = model.number(kMost, 0, INT64_MAX);
  });
  own.collect([&] {
    Component vocab = model.member("vocab");
    config.vocabulary = read_vocabulary(vocab, own);
    for (int32_t slot = 0; slot < config.vocabulary.size(); ++slot) {
      std::string_view text = config.vocabulary.text_of(slot);
      if (text.size() <= kMostWalkedBytes) continue;
      own.collect([&] { check_walked_piece(text, vocab.place + "." + std::string(text)); });
    }
  });
  bool good = own.empty();
  own.move_to(problems);
  return good ? std::make_unique<WordPieceModel>(std::move(config)) : nullptr;
}

Json WordPieceModel::to_json() const {
  return Json::Object{{"type", "WordPiece"},
                      {"unk_token", config_.unk_token},
                      {"continuing_subword_prefix", config_.prefix},
                      {"max_input_chars_per_word", config_.most_chars},
                      {"vocab", vocabulary_json(config_.vocabulary)}};
}

class WordLevelRun : public TokenModel::Run {
 public:
  explicit WordLevelRun(const WordLevelModel& model) : model_(model) {}

  void encode(std::string_view word, std::vector<int32_t>& ids) override {
    const Vocabulary& vocabulary = model_.vocabulary_;
    int32_t slot = word.size() <= kMostTokenBytes ? vocabulary.find(word) : Vocabulary::kNone;
    ids.push_back(slot >= 0 ? vocabulary.id_of(slot) : unk_id(vocabulary, model_.unk_token_, word));
  }

 private:
  const WordLevelModel& model_;
};

std::unique_ptr<TokenModel::Run> WordLevelModel::make_run(size_t) const {
  return std::make_unique<WordLevelRun>(*this);
}

std::unique_ptr<const TokenModel> make_word_level_model(const Component& model,
                                                        ProblemList& problems) {
  ProblemList own;
  std::unique_ptr<const TokenModel> made;
  own.collect([&] {
    std::string unk_token = model.text("unk_token", "<unk>");
    made = std::make_unique<WordLevelModel>(read_vocabulary(model.member("vocab"), own),
                                            std::move(unk_token));
  });
  bool good = own.empty();
  own.move_to(problems);
  return good ? std::move(made) : nullptr;
}

Json WordLevelModel::to_json() const {
  return Json::Object{
      {"type", "WordLevel"}, {"unk_token", unk_token_}, {"vocab", vocabulary_json(vocabulary_)}};
}

}  // namespace tenon::text
