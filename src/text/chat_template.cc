#include "text/chat_template.h"

#include "base/error.h"
#include "text/added_tokens.h"
#include "text/jinja/interpreter.h"
#include "text/tokenizer_parts.h"

namespace tenon::text {
namespace {

std::tm local_time() {
  std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

// Names that the conversation itself has, in the order of their values below.
constexpr std::string_view kOwnNames[] = {"messages", "tools", "documents",
                                          "add_generation_prompt"};

void define_input(Interpreter& run, RenderState& state, const ChatInput& input) {
  for (const auto& [name, value] : input.variables.as_object("variables")) {
    for (std::string_view own : kOwnNames) {
      if (name == own) {
        throw Error(ErrorCode::Usage, "a template variable has a name of the conversation")
            .got(name);
      }
    }
    run.define(name, from_json(state, value));
  }
  run.define(kOwnNames[0], from_json(state, input.messages));
  run.define(kOwnNames[1], from_json(state, input.tools));
  run.define(kOwnNames[2], from_json(state, input.documents));
  run.define(kOwnNames[3], Value::of(input.add_generation_prompt));
}

void define_tokens(Interpreter& run, const SpecialTokenNames& names) {
  auto define = [&](std::string_view name, const std::string& text) {
    if (!text.empty()) run.define(name, Value::constant(text));
  };
  define("bos_token", names.bos);
  define("eos_token", names.eos);
  define("pad_token", names.pad);
  define("unk_token", names.unk);
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == text.npos;
}

// Added tokens that are not special, and that the template writes: "<|user|>" of some models.
std::vector<int32_t> control_tokens(const Tokenizer& tokenizer, const std::string& source) {
  std::vector<int32_t> controls;
  for (const AddedToken& token : tokenizer.parts().added.tokens()) {
    bool control = !token.special && !is_blank(token.content) &&
                   source.find(token.content) != std::string::npos;
    if (control) controls.push_back(token.id);
  }
  return controls;
}

}  // namespace

ChatTemplate ChatTemplate::parse(std::string_view source) {
  ChatTemplate parsed;
  parsed.syntax_ = parse_jinja(source);
  return parsed;
}

const std::string& ChatTemplate::source() const {
  return syntax_->source;
}

RenderedChat ChatTemplate::render(const ChatInput& input, const SpecialTokenNames& names) const {
  RenderState state(syntax_->source, input.now ? *input.now : local_time());
  Interpreter run(*syntax_, state);
  define_tokens(run, names);
  define_input(run, state, input);
  MarkedText text = run.run();
  return {text.text(), text.user_ranges()};
}

std::vector<int32_t> encode_chat(const ChatTemplate& chat, const ChatInput& input,
                                 const Tokenizer& tokenizer) {
  RenderedChat rendered = chat.render(input, tokenizer.parts().names);
  std::vector<int32_t> controls = control_tokens(tokenizer, chat.source());
  return tokenizer.encode(rendered.text, {.add_special_tokens = false,
                                          .parse_special = true,
                                          .plain = rendered.user,
                                          .controls = controls});
}

std::optional<int32_t> end_of_turn(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  ChatInput input;
  for (const char* role : {"user", "assistant"}) {
    data::Json message = data::Json::object();
    input.messages.push_back(message.set("role", role).set("content", "x"));
  }
  input.add_generation_prompt = false;
  RenderedChat rendered = chat.render(input, tokenizer.parts().names);
  size_t end = rendered.user.empty() ? 0 : rendered.user.back().end;
  size_t begin = rendered.text.find_first_not_of(" \t\r\n", end);
  if (begin == std::string::npos) return std::nullopt;
  std::vector<int32_t> ids = tokenizer.encode(std::string_view(rendered.text).substr(begin),
                                              {.add_special_tokens = false});
  bool added = !ids.empty() && tokenizer.parts().added.find_id(ids[0]);
  return added ? std::optional(ids[0]) : std::nullopt;
}

}  // namespace tenon::text
