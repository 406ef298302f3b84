#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/json.h"
#include "text/tokenizer.h"

namespace tenon::text {

// What a template is given, as transformers' apply_chat_template gives it. Every string in it is
// a user's, but for the values of "role" that are well-known words.
struct ChatInput {
  data::Json messages = data::Json::array();  // objects with "role", "content" ...
  data::Json tools;                           // null: none
  data::Json documents;                       // null: none
  bool add_generation_prompt = true;
  data::Json variables = data::Json::object();  // more, by name: enable_thinking ...
  std::optional<std::tm> now;                   // of strftime_now; else the local time
};

struct RenderedChat {
  std::string text;
  std::vector<ByteRange> user;  // the parts of `text` that come from the input
};

struct Syntax;

// A chat template: Jinja, as far as the templates of published models use it, run with limits on
// time, memory and depth (kLimits.template_*). It can reach nothing but its input. Immutable: any
// number of threads may use one object at once.
class ChatTemplate {
 public:
  // Throws ErrorCode::BadInput for wrong syntax, Unsupported naming a construct that Tenon does not
  // have; both with line and column.
  static ChatTemplate parse(std::string_view source);

  // Throws ErrorCode::BadInput with line and column where the template refuses the conversation,
  // uses a value wrongly, or passes a limit. `names` become bos_token and so on.
  RenderedChat render(const ChatInput& input, const SpecialTokenNames& names = {}) const;

  const std::string& source() const;

 private:
  std::shared_ptr<const Syntax> syntax_;
};

// Renders and encodes. Special tokens are those that the template wrote: what a message merely
// spells stays text. Added tokens that are not marked special count as such where the template has
// them in its source.
std::vector<int32_t> encode_chat(const ChatTemplate& chat, const ChatInput& input,
                                 const Tokenizer& tokenizer);

// The special token that the template writes behind an assistant's message, which a model writes
// to end its turn; none where text does. Throws where the template refuses a plain exchange.
std::optional<int32_t> end_of_turn(const ChatTemplate& chat, const Tokenizer& tokenizer);

// The templates of one model by name: "default", and what there is beside it ("tool_use").
class ChatTemplates {
 public:
  // What to_text() gave: one template as it is, or several as JSON.
  static ChatTemplates from_text(std::string_view text);
  std::string to_text() const;

  bool empty() const { return named_.empty(); }
  void set(std::string name, std::string source);
  // As transformers chooses: "tool_use" where tools are given and it exists, else "default".
  // nullptr: there is none.
  const std::string* choose(bool has_tools) const;
  const std::string* find(std::string_view name) const;
  std::vector<std::string> names() const;

 private:
  std::vector<std::pair<std::string, std::string>> named_;
};

// The templates in a model folder: chat_template.jinja with additional_chat_templates/*.jinja, else
// chat_template.json, else the chat_template of tokenizer_config.json.
ChatTemplates read_chat_templates(const std::string& folder);

}  // namespace tenon::text
