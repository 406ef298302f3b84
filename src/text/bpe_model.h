#pragma once

#include <array>
#include <string>
#include <vector>

#include "text/bpe_merge.h"
#include "text/token_model.h"

namespace tenon::text {

// Byte-pair encoding as Hugging Face's "BPE" model describes it.
struct BpeConfig {
  Vocabulary vocabulary;
  MergeTable merges;
  std::string unk_token;       // empty: characters without a piece vanish
  bool fuse_unk = false;       // neighbouring unknown characters give one unk
  bool byte_fallback = false;  // "<0x0A>" pieces for characters without one
  // A piece that is in the vocabulary is one token, whatever the merges.
  bool ignore_merges = false;
  std::string prefix;  // continuing_subword_prefix: before each character but the first of a piece
  std::string suffix;  // end_of_word_suffix: after the last character of a piece
  // The merges are not listed: any two neighbours that spell a piece merge, lower ids first, as in
  // the rank files of tiktoken. Fills `merges` from the vocabulary.
  bool merge_by_id = false;
};

class BpeModel : public TokenModel {
 public:
  explicit BpeModel(BpeConfig config);
  const Vocabulary& vocabulary() const override { return config_.vocabulary; }
  std::unique_ptr<Run> make_run(size_t text_bytes) const override;
  data::Json to_json() const override;

 private:
  friend class BpeRun;
  BpeConfig config_;
  std::array<int32_t, 256> byte_slots_;    // of "<0x00>" ..., or Vocabulary::kNone
  std::vector<int32_t> basic_char_slots_;  // [65536], of one-character pieces
  int32_t unk_slot_ = Vocabulary::kNone;
};

// Every way in which two texts of `vocabulary` spell a third one, ranked by its id.
MergeTable merges_by_id(const Vocabulary& vocabulary);

// bpe_json.cc. Adds to `problems`; null where it did.
std::unique_ptr<const TokenModel> make_bpe_model(const Component& component, ProblemList& problems);

}  // namespace tenon::text
