#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/decoders.h"
#include "text/pattern.h"
#include "text/unicode.h"

namespace tenon::text {

struct ChainedStage : DecoderStage {
  explicit ChainedStage(std::unique_ptr<DecoderStage> following) : next(std::move(following)) {}
  void finish() override { next->finish(); }
  std::unique_ptr<DecoderStage> next;
};

// Collects the fragments of each token.
struct WholeTokensStage : ChainedStage {
  using ChainedStage::ChainedStage;
  void push(std::string_view text, bool starts_token) override;
  void finish() override;

 private:
  void flush();
  std::string token_;
  bool open_ = false;
};

// Tokens joined by spaces.
struct JoinStage : ChainedStage {
  using ChainedStage::ChainedStage;
  void push(std::string_view text, bool starts_token) override;

 private:
  bool any_ = false;
};

struct FuseStage : ChainedStage {
  using ChainedStage::ChainedStage;
  void push(std::string_view text, bool starts_token) override;

 private:
  bool any_ = false;
};

// Byte-level spelling back to bytes, and those to characters.
struct ByteLevelStage : ChainedStage {
  using ChainedStage::ChainedStage;
  void push(std::string_view text, bool starts_token) override;
  void finish() override;

 private:
  void emit();
  Utf8Assembler assembler_{Utf8Assembler::Replacement::EachPart};
  std::string ready_;
  bool any_ = false;
};

// "<0x0A>" back to bytes, and runs of those to characters.
struct ByteFallbackStage : ChainedStage {
  ByteFallbackStage(std::unique_ptr<DecoderStage> following, bool is_eager)
      : ChainedStage(std::move(following)), eager(is_eager) {}
  void push(std::string_view text, bool starts_token) override;
  void finish() override;
  bool eager;

 private:
  void push_byte(uint8_t byte);
  void end_run();
  Utf8Assembler assembler_{Utf8Assembler::Replacement::EachByte};
  std::string run_, ready_;
  bool in_run_ = false, run_emitted_ = false;
};

struct ReplaceStage : ChainedStage {
  ReplaceStage(std::unique_ptr<DecoderStage> following, const Pattern& what,
               const std::string& with)
      : ChainedStage(std::move(following)), pattern(what), content(with) {}
  void push(std::string_view text, bool starts_token) override {
    constexpr size_t kMostAdded = 16 << 10;  // a token; what stages add does not multiply
    next->push(pattern.replaced(text, content, text.size() + kMostAdded), starts_token);
  }
  const Pattern& pattern;
  const std::string& content;
};

// Up to `start` leading and `stop` trailing characters equal to `content`, of each token.
struct StripStage : ChainedStage {
  StripStage(std::unique_ptr<DecoderStage> following, std::string_view what, int64_t most_start,
             int64_t most_stop)
      : ChainedStage(std::move(following)), content(what), start(most_start), stop(most_stop) {}
  void push(std::string_view text, bool starts_token) override;
  std::string_view content;
  int64_t start, stop;

 private:
  int64_t left_ = 0;  // how many leading ones may still go
};

// A space for each `replacement`; none in the first token where `strip_first`.
struct MetaspaceStage : ChainedStage {
  MetaspaceStage(std::unique_ptr<DecoderStage> following, const Pattern& what, bool strips_first)
      : ChainedStage(std::move(following)), replacement(what), strip_first(strips_first) {}
  void push(std::string_view text, bool starts_token) override;
  const Pattern& replacement;
  bool strip_first;

 private:
  int tokens_ = 0;  // counts to 2 only
};

}  // namespace tenon::text
