#include "cli/prompts.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "data/json.h"

namespace tenon::cli {
namespace {

std::string read_standard_input() {
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    ssize_t got = ::read(STDIN_FILENO, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(ErrorCode::Io, std::strerror(errno)).at("standard input");
    if (got == 0) return text;
    text.append(buffer, static_cast<size_t>(got));
    if (static_cast<int64_t>(text.size()) > kLimits.prompt_bytes) {
      throw Error(ErrorCode::BadInput, "prompts are too long")
          .at("standard input")
          .accepted("at most " + std::to_string(kLimits.prompt_bytes) + " bytes");
    }
  }
}

Prompt parse_line(const std::string& line) {
  if (!is_valid_utf8(line)) {
    throw Error(ErrorCode::BadInput, "text is not valid UTF-8").fix("convert the file to UTF-8");
  }
  if (line[0] != '{') return {.text = line, .ids = {}};
  data::Json json = data::parse_json(line);
  Prompt prompt;
  if (const data::Json* ids = json.find("ids")) {
    for (const data::Json& id : ids->as_array("ids")) {
      prompt.ids.push_back(checked_cast<int32_t>(id.as_int("ids"), "ids"));
    }
    if (prompt.ids.empty()) throw Error(ErrorCode::BadInput, "\"ids\" is empty");
    return prompt;
  }
  for (const char* field : {"prompt", "article", "text"}) {
    if (const data::Json* text = json.find(field)) return {text->as_string(field), {}};
  }
  throw Error(ErrorCode::BadInput, "line has no prompt")
      .accepted("an object with \"ids\", \"prompt\", \"article\" or \"text\"");
}

}  // namespace

std::vector<Prompt> read_prompts(const std::string& path) {
  std::string text =
      path == "-" ? read_standard_input() : read_text_file(path, kLimits.prompt_bytes);
  std::vector<Prompt> prompts;
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    try {
      prompts.push_back(parse_line(line));
    } catch (Error& error) {
      error.within(path + ": line " + std::to_string(number));
      throw;
    }
  }
  if (prompts.empty()) throw Error(ErrorCode::BadInput, "file has no prompt").at(path);
  return prompts;
}

void encode_prompts(std::vector<Prompt>& prompts, const text::Tokenizer* tokenizer,
                    const std::string& suffix) {
  for (size_t i = 0; i < prompts.size(); ++i) {
    Prompt& prompt = prompts[i];
    if (!prompt.ids.empty()) continue;
    if (!tokenizer) {
      throw Error(ErrorCode::Unsupported, "the plan has no tokenizer").fix("give ids: --ids 1,2,3");
    }
    prompt.text += suffix;
    try {
      prompt.ids = tokenizer->encode(prompt.text);
      if (prompt.ids.empty()) {
        throw Error(ErrorCode::BadInput, "prompt is empty").accepted("at least one token");
      }
    } catch (Error& error) {
      error.within("prompt " + std::to_string(i + 1));
      throw;
    }
  }
}

}  // namespace tenon::cli
