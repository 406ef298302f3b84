// What Jinja itself makes of the published families' templates
// (tools/make_chat_template_vectors.py).
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "text/chat_template.h"

namespace tenon::text {
namespace {

const std::string kFolder = std::string(TENON_SOURCE_DIR) + "/tests/golden/chat_templates/";

ChatInput input_of(const data::Json& conversation) {
  ChatInput input;
  input.messages = conversation.at("messages", "$");
  if (const data::Json* tools = conversation.find("tools")) input.tools = *tools;
  if (const data::Json* documents = conversation.find("documents")) input.documents = *documents;
  if (const data::Json* more = conversation.find("variables")) input.variables = *more;
  input.add_generation_prompt = conversation.get_bool("add_generation_prompt", true);
  std::tm now{};
  now.tm_year = 126;
  now.tm_mon = 2;
  now.tm_mday = 7;
  now.tm_hour = 14;
  now.tm_min = 5;
  now.tm_sec = 9;
  now.tm_wday = 6;
  now.tm_yday = 65;
  input.now = now;
  return input;
}

void check(const ChatTemplate& chat, const ChatInput& input, const data::Json& expected) {
  const SpecialTokenNames names{.bos = "<s>", .eos = "</s>", .pad = "<pad>", .unk = "<unk>"};
  const data::Json* refusal = expected.find("error");
  try {
    std::string text = chat.render(input, names).text;
    ASSERT_FALSE(refusal) << "should refuse: " << refusal->as_string("error");
    EXPECT_EQ(text, expected.at("text", "$").as_string("text"));
  } catch (const Error& error) {
    ASSERT_TRUE(refusal) << error.what();
    EXPECT_EQ(error.code(), ErrorCode::BadInput);
    EXPECT_NE(error.problem().find(refusal->as_string("error")), std::string::npos) << error.what();
    EXPECT_NE(error.place().find("line "), std::string::npos) << error.what();
  }
}

TEST(ChatTemplates, RenderAsJinjaDoes) {
  data::Json conversations = data::read_json_file(kFolder + "conversations.json");
  data::Json expected = data::read_json_file(std::string(TENON_GOLDEN_CHAT) + "expected.json");
  size_t checked = 0;
  for (const auto& [name, entries] : expected.as_object("$")) {
    std::string source = read_text_file(kFolder + name + ".jinja", 1 << 20);
    ChatTemplate chat = ChatTemplate::parse(source);
    for (const auto& [conversation, entry] : entries.as_object("$")) {
      SCOPED_TRACE(name + ", " + conversation);
      check(chat, input_of(conversations.at(conversation, "$")), entry);
      ++checked;
    }
  }
  EXPECT_GE(expected.as_object("$").size(), 40u);
  EXPECT_GE(checked, 3 * expected.as_object("$").size());
}

}  // namespace
}  // namespace tenon::text
