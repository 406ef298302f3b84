#include "text/decoder_stages.h"

#include "base/text.h"
#include "text/byte_level.h"
#include "text/byte_pieces.h"

namespace tenon::text {

void WholeTokensStage::push(std::string_view text, bool starts_token) {
  if (starts_token) flush();
  open_ = true;
  token_ += text;
}

void WholeTokensStage::flush() {
  if (open_) next->push(token_, true);
  token_.clear();
  open_ = false;
}

void WholeTokensStage::finish() {
  flush();
  next->finish();
}

void JoinStage::push(std::string_view text, bool starts_token) {
  if (starts_token && any_) next->push(" ", false);
  next->push(text, !any_);
  any_ = true;
}

void FuseStage::push(std::string_view text, bool) {
  next->push(text, !any_);
  any_ = true;
}

void ByteLevelStage::push(std::string_view text, bool) {
  std::string bytes;
  for (size_t at = 0; at < text.size();) {
    int byte = byte_of_char(next_char(text, at));
    if (byte < 0) {  // not spelled so, as an added token: taken as it is
      bytes = text;
      break;
    }
    bytes += static_cast<char>(byte);
  }
  for (char byte : bytes) assembler_.push(static_cast<uint8_t>(byte), ready_);
  emit();
}

void ByteLevelStage::emit() {
  if (ready_.empty()) return;
  next->push(ready_, !any_);
  any_ = true;
  ready_.clear();
}

void ByteLevelStage::finish() {
  assembler_.finish(ready_);
  emit();
  next->finish();
}

void ByteFallbackStage::push(std::string_view text, bool starts_token) {
  int byte = byte_of_piece(text);
  if (byte >= 0) return push_byte(static_cast<uint8_t>(byte));
  end_run();
  next->push(text, starts_token);
}

void ByteFallbackStage::push_byte(uint8_t byte) {
  in_run_ = true;
  if (!eager) {
    run_ += static_cast<char>(byte);
    return;
  }
  assembler_.push(byte, ready_);
  if (ready_.empty()) return;
  next->push(ready_, !run_emitted_);
  run_emitted_ = true;
  ready_.clear();
}

void ByteFallbackStage::end_run() {
  if (!in_run_) return;
  if (!eager && is_valid_utf8(run_)) {
    next->push(run_, true);
  } else if (!eager) {
    for (size_t i = 0; i < run_.size(); ++i) next->push(kReplacementChar, true);
  } else {
    assembler_.finish(ready_);
    if (!ready_.empty()) next->push(ready_, !run_emitted_);
  }
  run_.clear();
  ready_.clear();
  in_run_ = run_emitted_ = false;
}

void ByteFallbackStage::finish() {
  end_run();
  next->finish();
}

void StripStage::push(std::string_view text, bool starts_token) {
  if (starts_token) left_ = start;
  while (left_ > 0 && text.starts_with(content)) {
    text.remove_prefix(content.size());
    --left_;
  }
  if (!text.empty()) left_ = 0;
  for (int64_t i = 0; i < stop && text.ends_with(content); ++i) text.remove_suffix(content.size());
  next->push(text, starts_token);
}

void MetaspaceStage::push(std::string_view text, bool starts_token) {
  if (starts_token && tokens_ < 2) ++tokens_;
  bool strip = strip_first && tokens_ == 1;
  next->push(replacement.replaced(text, strip ? "" : " "), starts_token);
}

}  // namespace tenon::text
