#pragma once

#include <span>
#include <string_view>
#include <vector>

namespace tenon::text {

// Formats of families whose checkpoints came without a template, by the names people know them.
struct BuiltinChatTemplate {
  std::string_view name, source;
  // Text that begins the next turn, where no special token does.
  std::vector<std::string_view> stops = {};
};

std::span<const BuiltinChatTemplate> builtin_chat_templates();
// nullptr: there is none of that name.
const BuiltinChatTemplate* find_builtin_chat_template(std::string_view name);

}  // namespace tenon::text
