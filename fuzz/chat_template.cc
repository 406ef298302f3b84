// A chat template from a model's folder, rendered with a small conversation: hostile text must end
// in one clear error, and what users wrote must stay marked as theirs.
#include "text/chat_template.h"

#include "base/text.h"
#include "fuzz_input.h"

namespace tenon {
namespace {

text::ChatInput conversation() {
  text::ChatInput input;
  input.messages = data::parse_json(
      R"([{"role": "system", "content": "be brief"}, {"role": "user", "content": "1 < 2 é \n"},
          {"role": "assistant", "content": "", "tool_calls": [{"id": "a", "function":
            {"name": "f", "arguments": {"x": [1, 2.5, null, true]}}}]},
          {"role": "tool", "content": [{"type": "text", "text": "t"}]}])");
  input.tools = data::parse_json(R"([{"type": "function", "function": {"name": "f"}}])");
  std::tm now{};
  now.tm_mday = 1;
  input.now = now;
  return input;
}

void check(const text::RenderedChat& chat) {
  bool sound = is_valid_utf8(chat.text);
  size_t end = 0;
  for (const text::ByteRange& range : chat.user) {
    sound = sound && range.begin < range.end && (range.begin > end || end == 0);
    end = range.end;
  }
  if (!sound || end > chat.text.size()) std::abort();
}

}  // namespace
}  // namespace tenon

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tenon::text::ChatInput kInput = tenon::conversation();
  tenon::fuzz::refuse_or_accept([&] {
    auto chat = tenon::text::ChatTemplate::parse(tenon::fuzz::text_of(data, size));
    tenon::text::SpecialTokenNames names;
    names.bos = "<s>";
    names.eos = "</s>";
    tenon::check(chat.render(kInput, names));
  });
  return 0;
}
