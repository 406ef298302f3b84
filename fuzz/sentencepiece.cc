#include "text/sentencepiece_file.h"

#include "base/text.h"
#include "fuzz_input.h"
#include "text/tiktoken_file.h"
#include "text/tokenizer.h"

namespace {

using namespace tenon;
using data::Json;

std::shared_ptr<const text::Tokenizer> read(std::string_view bytes) {
  Json whole = Json::Object{{"version", "1.0"}};
  if (text::looks_like_tiktoken(bytes)) {
    whole.set("model", text::read_tiktoken_file(bytes));
    whole.set("decoder", Json::Object{{"type", "ByteLevel"}});
    whole.set("pre_tokenizer", Json::Object{{"type", "ByteLevel"}});
  } else {
    text::SentencePieceFile file = text::read_sentencepiece_file(bytes, {.prefix_once = true});
    whole.set("normalizer", std::move(file.normalizer));
    whole.set("model", std::move(file.model));
    whole.set("decoder", std::move(file.decoder));
  }
  return text::Tokenizer::from_json(whole.dump());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::refuse_or_accept([&] {
    auto tokenizer = read(fuzz::text_of(data, size));
    for (std::string_view text : {"", " a  b ", "Hello, w\u00f6rld 123!", "\uff21\ufb01e\u0301\x01",
                                  "\U0001F600<sep>[INST]", "\xff\xe4\xb8"}) {
      fuzz::refuse_or_accept([&] {
        std::vector<int32_t> ids = tokenizer->encode(text);
        if (!is_valid_utf8(tokenizer->decode(ids))) std::abort();
      });
    }
  });
  return 0;
}
