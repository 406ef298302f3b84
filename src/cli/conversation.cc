#include "cli/conversation.h"

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "text/builtin_chat_templates.h"

namespace tenon::cli {
namespace {

data::Json message(std::string_view role, const std::string& content) {
  data::Json json = data::Json::object();
  return json.set("role", role).set("content", content);
}

std::string builtin_names() {
  std::vector<std::string> names;
  for (const auto& entry : text::builtin_chat_templates()) names.emplace_back(entry.name);
  return join(names, ", ");
}

text::ChatTemplate parse_within(const std::string& place, const std::string& source) {
  try {
    return text::ChatTemplate::parse(source);
  } catch (Error& error) {
    error.within(place);
    throw;
  }
}

ChatFormat plan_format(const std::string& plan_text) {
  text::ChatTemplates templates = text::ChatTemplates::from_text(plan_text);
  const std::string* source = templates.choose(false);
  if (source) return {"the plan's template", parse_within("the plan", *source), {}, {}};
  throw Error(ErrorCode::Unsupported,
              "the plan has no chat template: it is of a base model, or of a folder without one")
      .fix("tenon run continues a text; to chat give --chat-template a file, or one of: " +
           builtin_names());
}

}  // namespace

ChatFormat choose_chat_format(const std::string& choice, const std::string& plan_text,
                              const text::Tokenizer& tokenizer) {
  std::optional<ChatFormat> format;
  if (choice.empty()) {
    format = plan_format(plan_text);
  } else if (const auto* builtin = text::find_builtin_chat_template(choice)) {
    format = {"built-in " + choice, text::ChatTemplate::parse(builtin->source), {}, {}};
    format->stop_strings.assign(builtin->stops.begin(), builtin->stops.end());
  } else if (file_exists(choice)) {
    format = {choice, parse_within(choice, read_text_file(choice, kLimits.template_bytes)), {}, {}};
  } else {
    throw Error(ErrorCode::Usage, "there is no such chat template")
        .at("--chat-template")
        .got(choice)
        .accepted("a file, or one of: " + builtin_names());
  }
  if (tokenizer.eos()) format->stop_ids.push_back(*tokenizer.eos());
  return std::move(*format);
}

Conversation::Conversation(std::shared_ptr<const text::Tokenizer> tokenizer, ChatFormat format,
                           data::Json variables, std::string system)
    : tokenizer_(std::move(tokenizer)),
      format_(std::move(format)),
      variables_(std::move(variables)),
      system_(std::move(system)) {}

std::vector<int32_t> Conversation::encode(const std::string& user) const {
  text::ChatInput input;
  input.variables = variables_;
  if (!system_.empty()) input.messages.push_back(message("system", system_));
  for (const Exchange& exchange : exchanges_) {
    input.messages.push_back(message("user", exchange.user));
    input.messages.push_back(message("assistant", exchange.answer));
  }
  input.messages.push_back(message("user", user));
  std::vector<int32_t> ids = text::encode_chat(format_.chat, input, *tokenizer_);
  if (ids.empty()) {
    throw Error(ErrorCode::BadInput, "the chat template makes no text of the conversation")
        .at(format_.origin);
  }
  return ids;
}

void Conversation::add(const std::string& user, const std::string& answer) {
  exchanges_.push_back({user, answer});
}

bool Conversation::drop_oldest() {
  if (exchanges_.empty()) return false;
  exchanges_.erase(exchanges_.begin());
  return true;
}

}  // namespace tenon::cli
