#pragma once

#include <string>

#include "text/byte_trie.h"
#include "text/token_model.h"

namespace tenon::text {

// BERT's "WordPiece": a word is cut into the longest pieces from its beginning on. A word that
// cannot be cut is unknown as a whole.
struct WordPieceConfig {
  Vocabulary vocabulary;
  std::string unk_token = "[UNK]";
  std::string prefix = "##";  // of pieces that continue a word
  int64_t most_chars = 100;   // a longer word is unknown
};

class WordPieceModel : public TokenModel {
 public:
  explicit WordPieceModel(WordPieceConfig config);
  const Vocabulary& vocabulary() const override { return config_.vocabulary; }
  std::unique_ptr<Run> make_run(size_t text_bytes) const override;
  data::Json to_json() const override;

 private:
  friend class WordPieceRun;
  WordPieceConfig config_;
  ByteTrie first_, following_;  // the second one without the prefix
};

// "WordLevel": a word is one token, or unknown.
class WordLevelModel : public TokenModel {
 public:
  WordLevelModel(Vocabulary vocabulary, std::string unk_token)
      : vocabulary_(std::move(vocabulary)), unk_token_(std::move(unk_token)) {}
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::unique_ptr<Run> make_run(size_t text_bytes) const override;
  data::Json to_json() const override;

 private:
  friend class WordLevelRun;
  Vocabulary vocabulary_;
  std::string unk_token_;
};

// Each adds to `problems`; null where it did.
std::unique_ptr<const TokenModel> make_word_piece_model(const Component& component,
                                                        ProblemList& problems);
std::unique_ptr<const TokenModel> make_word_level_model(const Component& component,
                                                        ProblemList& problems);

}  // namespace tenon::text
