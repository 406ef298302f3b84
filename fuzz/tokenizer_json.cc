#include "base/text.h"
#include "fuzz_input.h"
#include "text/incremental_decoder.h"
#include "text/tokenizer.h"

namespace {

using namespace tenon;

// Whatever the file says, what it makes of a text is text again.
void use(const std::shared_ptr<const text::Tokenizer>& tokenizer) {
  for (std::string_view text :
       {"", "a b", "Hello, w\u00f6rld 123!", "\u1100\u1161e\u0301 \U0001F600\n\n", "\xff\xc3"}) {
    fuzz::refuse_or_accept([&] {
      std::vector<int32_t> ids = tokenizer->encode(text);
      if (!is_valid_utf8(tokenizer->decode(ids, false))) std::abort();
      text::IncrementalDecoder decoder(tokenizer);
      for (int32_t id : ids) {
        if (!is_valid_utf8(decoder.push(id))) std::abort();
      }
      decoder.finish();
    });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::refuse_or_accept([&] {
    auto tokenizer = text::Tokenizer::from_json(fuzz::text_of(data, size));
    use(tokenizer);
    std::string written = tokenizer->serialise();
    if (text::Tokenizer::from_serialised(written)->serialise() != written) std::abort();
  });
  return 0;
}
