#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/chat_template.h"

namespace tenon::cli {

// The template of a chat, and how it ends a turn.
struct ChatFormat {
  std::string origin;  // "the plan's template", "built-in vicuna" or a file's name
  text::ChatTemplate chat;
  std::vector<int32_t> stop_ids;
  std::vector<std::string> stop_strings;
};

// `choice`: a built-in name or a file; "": the template of the plan, `plan_text`. Throws
// ErrorCode::Unsupported where the plan has none, Usage where the choice is neither.
ChatFormat choose_chat_format(const std::string& choice, const std::string& plan_text,
                              const text::Tokenizer& tokenizer);

// What was said so far. Each turn is rendered and encoded from the whole, so that ids are those of
// one text; what is the same as before is found in the cache.
class Conversation {
 public:
  Conversation(std::shared_ptr<const text::Tokenizer> tokenizer, ChatFormat format,
               data::Json variables, std::string system);

  // The ids of the conversation with a next message of the user, which is not added yet.
  std::vector<int32_t> encode(const std::string& user) const;
  void add(const std::string& user, const std::string& answer);
  // Forgets the oldest message of the user with its answer. False where there is none.
  bool drop_oldest();
  void reset() { exchanges_.clear(); }
  void set_system(std::string system) { system_ = std::move(system); }

  const ChatFormat& format() const { return format_; }
  size_t exchanges() const { return exchanges_.size(); }

 private:
  struct Exchange {
    std::string user, answer;
  };
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  ChatFormat format_;
  data::Json variables_;
  std::string system_;
  std::vector<Exchange> exchanges_;
};

}  // namespace tenon::cli
