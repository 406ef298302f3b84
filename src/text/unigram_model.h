#pragma once

#include <array>
#include <vector>

#include "text/byte_trie.h"
#include "text/token_model.h"

namespace tenon::text {

// Hugging Face's "Unigram" model: the spelling with the highest sum of scores.
struct UnigramConfig {
  Vocabulary vocabulary;       // slot = id
  std::vector<double> scores;  // [pieces]
  int32_t unk = Vocabulary::kNone;
  bool byte_fallback = false;  // "<0x0A>" pieces for characters without one
};

class UnigramModel : public TokenModel {
 public:
  explicit UnigramModel(UnigramConfig config);
  const Vocabulary& vocabulary() const override { return config_.vocabulary; }
  std::unique_ptr<Run> make_run(size_t text_bytes) const override;
  data::Json to_json() const override;

 private:
  friend class UnigramRun;
  UnigramConfig config_;
  ByteTrie trie_;
  double unk_score_ = 0;
  std::array<int32_t, 256> byte_slots_;  // of "<0x00>" ..., or Vocabulary::kNone
};

// Adds to `problems`; null where it did.
std::unique_ptr<const TokenModel> make_unigram_model(const Component& component,
                                                     ProblemList& problems);

}  // namespace tenon::text
