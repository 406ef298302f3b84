#include "text/regex.h"

#include <pcre2.h>

#include "base/error.h"
#include "base/limits.h"

namespace tenon::text {
namespace {

// About a second of work for one match, far above what real patterns need.
constexpr uint32_t kMatchLimit = 20'000'000;
constexpr uint32_t kDepthLimit = 100'000;
constexpr uint32_t kHeapLimitKib = 256 << 10;

struct Deleter {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};
template <class T>
using Owned = std::unique_ptr<T, Deleter>;

// What a thread needs to match; made once, as a text is matched in many small parts.
struct Scratch {
  Owned<pcre2_match_data> data{pcre2_match_data_create(1, nullptr)};
  Owned<pcre2_match_context> context{pcre2_match_context_create(nullptr)};
  Owned<pcre2_jit_stack> stack{pcre2_jit_stack_create(32 << 10, 8 << 20, nullptr)};

  Scratch() {
    if (!data || !context || !stack)
      throw Error(ErrorCode::OutOfMemory, "no memory to match a pattern");
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_depth_limit(context.get(), kDepthLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimitKib);
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
};

Scratch& thread_scratch() {
  thread_local Scratch scratch;
  return scratch;
}

std::string message_of(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

size_t next_char_start(std::string_view text, size_t at) {
  for (++at; at < text.size() && (static_cast<uint8_t>(text[at]) & 0xC0) == 0x80;) ++at;
  return at;
}

}  // namespace

struct Regex::Code {
  Owned<pcre2_code> code;
};

Regex::Regex(const std::string& pattern) : code_(std::make_unique<Code>()) {
  if (pattern.size() > static_cast<size_t>(kLimits.regex_bytes)) {
    throw Error(ErrorCode::BadInput, "pattern is too long")
        .got(std::to_string(pattern.size()) + " bytes")
        .accepted("at most " + std::to_string(kLimits.regex_bytes));
  }
  std::string translated = translate_regex(pattern);
  Owned<pcre2_compile_context> context(pcre2_compile_context_create(nullptr));
  if (!context) throw Error(ErrorCode::OutOfMemory, "no memory to compile a pattern");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  // ^ and $ are always anchors of lines in Oniguruma. \C could cut a character in half.
  uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  code_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()),
                                  translated.size(), options, &error, &offset, context.get()));
  if (!code_->code) {
    throw Error(ErrorCode::BadInput, "not a valid pattern: " + message_of(error)).got(pattern);
  }
  // Without JIT (not available here) the interpreter runs: slower, same answers.
  pcre2_jit_compile(code_->code.get(), PCRE2_JIT_COMPLETE);
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;

void Regex::for_each_match(std::string_view text,
                           FunctionRef<void(size_t begin, size_t end)> found) const {
  Scratch& scratch = thread_scratch();
  auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  size_t at = 0, last_end = 0;
  bool any = false;
  while (at <= text.size()) {
    int result = pcre2_match(code_->code.get(), subject, text.size(), at, PCRE2_NO_UTF_CHECK,
                             scratch.data.get(), scratch.context.get());
    if (result == PCRE2_ERROR_NOMATCH) return;
    if (result < 0) {
      throw Error(ErrorCode::BadInput,
                  "the tokenizer's pattern does not end on this text: " + message_of(result))
          .fix("use a simpler pattern, or shorter text");
    }
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(scratch.data.get());
    size_t begin = range[0], end = range[1];
    if (end < begin) {  // \K in a lookahead can do that
      throw Error(ErrorCode::Unsupported, "the tokenizer's pattern moves the start of its match");
    }
    bool repeated_empty = begin == end && any && begin == last_end;
    if (!repeated_empty) found(begin, end);
    any = true;
    last_end = end;
    at = begin == end ? next_char_start(text, end) : end;
  }
}

}  // namespace tenon::text
