#include "text/builtin_chat_templates.h"

namespace tenon::text {
namespace {

constexpr std::string_view kVicuna =
    R"({%- set system = "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions." -%}
{%- if messages[0].role == 'system' -%}{%- set system = messages[0].content|trim -%}{%- set messages = messages[1:] -%}{%- endif -%}
{{- bos_token ~ system ~ ' ' -}}
{%- for message in messages -%}
{%- if message.role == 'user' -%}{{- 'USER: ' ~ message.content|trim ~ ' ' -}}
{%- elif message.role == 'assistant' -%}{{- 'ASSISTANT: ' ~ message.content|trim ~ eos_token -}}
{%- else -%}{{- raise_exception('vicuna knows system, user and assistant') -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%})";

// As MiniGPT-4 talks to its Vicuna: "###" ends every message, and the roles end with a space.
constexpr std::string_view kVicunaV0 =
    R"({%- set system = "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the human's questions." -%}
{%- if messages[0].role == 'system' -%}{%- set system = messages[0].content|trim -%}{%- set messages = messages[1:] -%}{%- endif -%}
{{- bos_token ~ system ~ '###' -}}
{%- for message in messages -%}
{%- if message.role == 'user' -%}{{- 'Human: ' ~ message.content|trim ~ '###' -}}
{%- elif message.role == 'assistant' -%}{{- 'Assistant: ' ~ message.content|trim ~ '###' -}}
{%- else -%}{{- raise_exception('vicuna knows system, user and assistant') -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'Assistant: ' -}}{%- endif -%})";

constexpr std::string_view kChatMl = R"({%- for message in messages -%}
{{- '<|im_start|>' ~ message.role ~ '\n' ~ message.content ~ '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%})";

constexpr std::string_view kLlama2 = R"({%- set system = '' -%}
{%- if messages[0].role == 'system' -%}{%- set system = '<<SYS>>\n' ~ messages[0].content ~ '\n<</SYS>>\n\n' -%}{%- set messages = messages[1:] -%}{%- endif -%}
{%- for message in messages -%}
{%- if (message.role == 'user') != (loop.index0 % 2 == 0) -%}{{- raise_exception('user and assistant must take turns') -}}{%- endif -%}
{%- if message.role == 'user' -%}{{- bos_token ~ '[INST] ' ~ ((system if loop.first else '') ~ message.content)|trim ~ ' [/INST]' -}}
{%- else -%}{{- ' ' ~ message.content|trim ~ ' ' ~ eos_token -}}{%- endif -%}
{%- endfor -%})";

constexpr std::string_view kLlama3 = R"({{- bos_token -}}
{%- for message in messages -%}
{{- '<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\n\n' ~ message.content|trim ~ '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}{%- endif -%})";

constexpr std::string_view kMistral = R"({{- bos_token -}}
{%- set system = '' -%}
{%- if messages[0].role == 'system' -%}{%- set system = messages[0].content ~ '\n\n' -%}{%- set messages = messages[1:] -%}{%- endif -%}
{%- for message in messages -%}
{%- if (message.role == 'user') != (loop.index0 % 2 == 0) -%}{{- raise_exception('user and assistant must take turns') -}}{%- endif -%}
{%- if message.role == 'user' -%}{{- '[INST] ' ~ (system if loop.first else '') ~ message.content ~ ' [/INST]' -}}
{%- else -%}{{- ' ' ~ message.content|trim ~ eos_token -}}{%- endif -%}
{%- endfor -%})";

constexpr std::string_view kAlpaca =
    R"({%- set system = 'Below is an instruction that describes a task. Write a response that appropriately completes the request.' -%}
{%- if messages[0].role == 'system' -%}{%- set system = messages[0].content|trim -%}{%- set messages = messages[1:] -%}{%- endif -%}
{{- bos_token ~ system ~ '\n\n' -}}
{%- for message in messages -%}
{%- if message.role == 'user' -%}{{- '### Instruction:\n' ~ message.content|trim ~ '\n\n' -}}
{%- else -%}{{- '### Response:\n' ~ message.content|trim ~ eos_token ~ '\n\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '### Response:\n' -}}{%- endif -%})";

constexpr std::string_view kZephyr = R"({%- for message in messages -%}
{{- '<|' ~ message.role ~ '|>\n' ~ message.content ~ eos_token ~ '\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\n' -}}{%- endif -%})";

constexpr std::string_view kPhi3 = R"({%- for message in messages -%}
{{- '<|' ~ message.role ~ '|>\n' ~ message.content ~ '<|end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\n' -}}{%- endif -%})";

constexpr std::string_view kGemma = R"({{- bos_token -}}
{%- set system = '' -%}
{%- if messages[0].role == 'system' -%}{%- set system = messages[0].content|trim ~ '\n\n' -%}{%- set messages = messages[1:] -%}{%- endif -%}
{%- for message in messages -%}
{%- set role = 'model' if message.role == 'assistant' else message.role -%}
{{- '<start_of_turn>' ~ role ~ '\n' ~ (system if loop.first else '') ~ message.content|trim ~ '<end_of_turn>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\n' -}}{%- endif -%})";

}  // namespace

std::span<const BuiltinChatTemplate> builtin_chat_templates() {
  static const BuiltinChatTemplate kTemplates[] = {
      {"vicuna", kVicuna, {"USER:"}},
      {"vicuna-v0", kVicunaV0, {"###"}},
      {"llama-2", kLlama2},
      {"llama-3", kLlama3},
      {"mistral", kMistral},
      {"chatml", kChatMl, {"<|im_end|>"}},
      {"alpaca", kAlpaca, {"### Instruction:"}},
      {"zephyr", kZephyr, {"<|user|>"}},
      {"phi-3", kPhi3},
      {"gemma", kGemma},
  };
  return kTemplates;
}

const BuiltinChatTemplate* find_builtin_chat_template(std::string_view name) {
  for (const BuiltinChatTemplate& entry : builtin_chat_templates()) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace tenon::text
