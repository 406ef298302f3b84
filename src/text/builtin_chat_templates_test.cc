#include "text/builtin_chat_templates.h"

#include <gtest/gtest.h>

#include "text/chat_template.h"
#include "text/tokenizer_test_support.h"

namespace tenon::text {
namespace {

std::string render(std::string_view name, bool with_system) {
  ChatInput input;
  auto add = [&](const char* role, const char* content) {
    data::Json message = data::Json::object();
    input.messages.push_back(message.set("role", role).set("content", content));
  };
  if (with_system) add("system", "S.");
  add("user", "a");
  add("assistant", "b");
  add("user", "c");
  SpecialTokenNames names;
  names.bos = "<s>";
  names.eos = "</s>";
  ChatTemplate chat = ChatTemplate::parse(find_builtin_chat_template(name)->source);
  return chat.render(input, names).text;
}

TEST(BuiltinChatTemplates, FollowTheirFamilies) {
  EXPECT_EQ(render("vicuna", true), "<s>S. USER: a ASSISTANT: b</s>USER: c ASSISTANT:");
  EXPECT_EQ(render("vicuna-v0", true), "<s>S.###Human: a###Assistant: b###Human: c###Assistant: ");
  EXPECT_EQ(render("llama-2", true),
            "<s>[INST] <<SYS>>\nS.\n<</SYS>>\n\na [/INST] b </s><s>[INST] c [/INST]");
  EXPECT_EQ(
      render("llama-3", false),
      "<s><|start_header_id|>user<|end_header_id|>\n\na<|eot_id|><|start_header_id|>assistant"
      "<|end_header_id|>\n\nb<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nc<|eot_id|>"
      "<|start_header_id|>assistant<|end_header_id|>\n\n");
  EXPECT_EQ(render("mistral", false), "<s>[INST] a [/INST] b</s>[INST] c [/INST]");
  EXPECT_EQ(render("chatml", true),
            "<|im_start|>system\nS.<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant"
            "\nb<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(render("alpaca", true),
            "<s>S.\n\n### Instruction:\na\n\n### Response:\nb</s>\n\n### Instruction:\nc\n\n### "
            "Response:\n");
  EXPECT_EQ(render("zephyr", false),
            "<|user|>\na</s>\n<|assistant|>\nb</s>\n<|user|>\nc</s>\n<|assistant|>\n");
  EXPECT_EQ(render("phi-3", false),
            "<|user|>\na<|end|>\n<|assistant|>\nb<|end|>\n<|user|>\nc<|end|>\n<|assistant|>\n");
  EXPECT_EQ(render("gemma", true),
            "<s><start_of_turn>user\nS.\n\na<end_of_turn>\n<start_of_turn>model\nb<end_of_turn>\n"
            "<start_of_turn>user\nc<end_of_turn>\n<start_of_turn>model\n");
}

TEST(BuiltinChatTemplates, AllRenderBothForms) {
  for (const BuiltinChatTemplate& entry : builtin_chat_templates()) {
    SCOPED_TRACE(entry.name);
    EXPECT_NE(render(entry.name, true).find("S."), std::string::npos);
    EXPECT_EQ(render(entry.name, false).find("S."), std::string::npos);
  }
  EXPECT_EQ(find_builtin_chat_template("nobody"), nullptr);
}

TEST(EndOfTurn, IsTheTokenBehindAnAnswer) {
  TestTokenizer parts;
  parts.added = R"([{"id":9,"content":"<e>","special":true,"normalized":false}])";
  parts.names.eos = "<e>";
  auto tokenizer = parts.make();
  auto end = [&](std::string_view source) {
    return end_of_turn(ChatTemplate::parse(source), *tokenizer);
  };
  EXPECT_EQ(end("{% for m in messages %}{{ m.content ~ ' <e> ' }}{% endfor %}"), 9);
  EXPECT_EQ(end("{% for m in messages %}{{ m.content ~ eos_token }}{% endfor %}"), 9);
  EXPECT_EQ(end("{% for m in messages %}{{ m.content ~ 'a<e>' }}{% endfor %}"), std::nullopt);
  EXPECT_EQ(end("{% for m in messages %}{{ m.content }}\n{% endfor %}"), std::nullopt);
}

}  // namespace
}  // namespace tenon::text
