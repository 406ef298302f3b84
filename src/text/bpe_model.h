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
  bool ignore_merges =
      false;  // a piece that is in the vocabulary is one token, whatever the merges
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

// bpe_json.cc. Adds to `problems`; null where it did.
std::unique_ptr<const TokenModel> make_bpe_model(const Component& component, ProblemList& problems);

}  // namespace tenon::text
