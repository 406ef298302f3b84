#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/text.h"
#include "cli/conversation.h"
#include "cli/interruption.h"
#include "cli/line_reader.h"
#include "cli/numbers.h"
#include "cli/proof_note.h"
#include "cli/sampling_options.h"
#include "cli/verb.h"
#include "pipelines/llm/engine.h"
#include "plan/plan_file.h"

namespace tenon::cli {
namespace {

struct ChatCommand {
  std::string plan, system, chat_template, device = "cpu", on_full = "refuse";
  std::vector<std::string> variables;
  int64_t max_seq_len = 0;
  SamplingOptions sampling;
};

constexpr const char* kHelp =
    "/reset         forget what was said\n"
    "/system TEXT   another system message, and forget what was said\n"
    "/exit          leave (so does Ctrl-D; Ctrl-C stops an answer, at the prompt it leaves)\n"
    "\"\"\"            begins a message of several lines, which the same ends\n"
    "A message that begins with / has a space before it.\n";

// "enable_thinking=false": the value is JSON, or else text.
data::Json parse_variables(const std::vector<std::string>& pairs) {
  data::Json variables = data::Json::object();
  for (const std::string& pair : pairs) {
    size_t equals = pair.find('=');
    if (equals == 0 || equals == pair.npos) {
      throw Error(ErrorCode::Usage, "a template variable is written NAME=VALUE")
          .at("--template-var")
          .got(pair);
    }
    std::string value = pair.substr(equals + 1);
    bool json = value == "true" || value == "false" || value == "null" ||
                value.find_first_of("[{\"-0123456789") == 0;
    variables.set(pair.substr(0, equals),
                  json ? data::parse_json(value) : data::Json(std::move(value)));
  }
  return variables;
}

// One chat: reads messages, shows answers.
class Chat {
 public:
  Chat(const ChatCommand& command, Console& console, llm::Engine& engine, Conversation conversation)
      : command_(command),
        console_(console),
        engine_(engine),
        conversation_(std::move(conversation)),
        interactive_(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !console.json()) {}

  void run() {
    data::Json start = event("start");
    start.set("plan", command_.plan).set("device", command_.device);
    start.set("template", conversation_.format().origin);
    start.set("max_seq_len", engine_.options().max_seq_len);
    if (console_.json()) console_.print_line(start);
    while (std::optional<std::string> line = read_message()) {
      if (!take_line(*line)) break;
    }
    if (interactive_) console_.print("\n");
    console_.note(
        fmt::format("{} turns; {} prompt tokens, {} of them kept from turns before; {} "
                    "new tokens at {:.1f} /s",
                    turns_, prompt_tokens_, reused_tokens_, new_tokens_,
                    new_seconds_ > 0 ? static_cast<double>(new_tokens_) / new_seconds_ : 0.0));
  }

 private:
  static data::Json event(std::string_view name) {
    data::Json json = data::Json::object();
    json.set("schema", kJsonSchema).set("verb", "chat").set("event", name);
    return json;
  }

  std::optional<std::string> read_message() {
    if (interactive_) console_.print("> ");
    std::optional<std::string> line = reader_.next();
    constexpr std::string_view kQuotes = "\"\"\"";
    if (!line || !line->starts_with(kQuotes)) return line;
    std::string message = line->substr(kQuotes.size());
    while (!message.ends_with(kQuotes)) {
      if (interactive_) console_.print(". ");
      line = reader_.next();
      if (!line) break;
      message += "\n" + *line;
    }
    if (message.ends_with(kQuotes)) message.resize(message.size() - kQuotes.size());
    // A message, even where it looks like a command.
    return " " + message;
  }

  // False: leave.
  bool take_line(const std::string& line) {
    if (line.find_first_not_of(" \t\r\n") == line.npos) return true;
    if (line[0] == '/') return take_command(line);
    if (!interactive_) {
      answer(line);
      return true;
    }
    try {
      answer(line);
    } catch (const Error& error) {
      // A person can say it another way; what else goes wrong ends the chat.
      if (error.code() != ErrorCode::Usage && error.code() != ErrorCode::BadInput) throw;
      console_.note("error: " + std::string(error.what()));
    }
    return true;
  }

  bool take_command(const std::string& line) {
    std::string name = line.substr(0, line.find(' '));
    if (name == "/exit" || name == "/quit") return false;
    if (name == "/help") {
      if (!console_.json()) console_.print(kHelp);
    } else if (name == "/reset" || name == "/system") {
      if (name == "/system") {
        size_t text = line.find_first_not_of(' ', name.size());
        conversation_.set_system(text == line.npos ? "" : line.substr(text));
      }
      conversation_.reset();
      if (console_.json()) console_.print_line(event("reset"));
    } else {
      Error error(ErrorCode::Usage, "there is no such command");
      error.got(name).accepted("/reset, /system TEXT, /help, /exit");
      error.fix("a message that begins with / has a space before it");
      if (!interactive_) throw error;
      console_.note("error: " + std::string(error.what()));
    }
    return true;
  }

  // The prompt's ids, after making room for an answer where the user asked for that.
  std::vector<int32_t> make_room(const std::string& user) {
    int64_t most = engine_.options().max_seq_len;
    std::vector<int32_t> ids = conversation_.encode(user);
    auto room = [&] { return most - static_cast<int64_t>(ids.size()); };
    int64_t wanted = command_.on_full == "drop"
                         ? std::min(command_.sampling.max_new_tokens.value_or(most / 4), most / 4)
                         : 1;
    size_t dropped = 0;
    while (room() < wanted && command_.on_full == "drop" && conversation_.drop_oldest()) {
      ids = conversation_.encode(user);
      ++dropped;
    }
    if (dropped > 0) tell_dropped(dropped, most);
    if (room() >= 1) return ids;
    std::string fix = conversation_.exchanges() == 0
                          ? "shorten the message"
                          : "/reset, or start with --on-full drop, which forgets the oldest turns";
    throw Error(ErrorCode::Usage, "the context is full: the message was not taken")
        .got(std::to_string(ids.size()) + " tokens with what was said before")
        .accepted("at most " + std::to_string(most - 1))
        .fix(fix + "; or build the plan with a larger --max-seq-len");
  }

  void tell_dropped(size_t dropped, int64_t most) {
    console_.note(
        fmt::format("note: the context of {} tokens is full; forgot the oldest {} of the "
                    "messages with their answers, {} are left",
                    most, dropped, conversation_.exchanges()));
    if (!console_.json()) return;
    data::Json json = event("dropped");
    json.set("exchanges", static_cast<int64_t>(dropped));
    console_.print_line(json.set("left", static_cast<int64_t>(conversation_.exchanges())));
  }

  llm::SamplingParams sampling(int64_t room) const {
    llm::SamplingParams params = merge_sampling(engine_.defaults(), command_.sampling, room);
    // An answer ends where the model ends it: the default of `run` would cut it.
    int64_t asked = command_.sampling.max_new_tokens.value_or(engine_.defaults().max_new_tokens);
    params.max_new_tokens = asked > 0 ? std::min(asked, room) : room;
    const ChatFormat& format = conversation_.format();
    if (!params.ignore_eos) {
      params.stop_ids.insert(params.stop_ids.end(), format.stop_ids.begin(), format.stop_ids.end());
    }
    params.stop_strings.insert(params.stop_strings.end(), format.stop_strings.begin(),
                               format.stop_strings.end());
    return params;
  }

  void answer(const std::string& user) {
    std::vector<int32_t> ids = make_room(user);
    auto prompt = static_cast<int64_t>(ids.size());
    int64_t room = engine_.options().max_seq_len - prompt;
    llm::Request request;
    request.sampling = sampling(room);
    bool may_fill = request.sampling.max_new_tokens == room;
    request.prompt = {llm::Segment::of_ids(std::move(ids))};
    llm::Result result = generate(std::move(request));
    ++turns_;
    prompt_tokens_ += prompt;
    reused_tokens_ += result.reused_tokens;
    new_tokens_ += static_cast<int64_t>(result.ids.size());
    new_seconds_ += result.timings.total - result.timings.first_token;
    // Nothing was said: as if it had not been asked.
    bool silent = result.finish_reason == llm::FinishReason::Cancelled && result.text.empty();
    if (!silent) conversation_.add(user, result.text);
    if (console_.json()) tell_result(user, result);
    if (result.finish_reason == llm::FinishReason::Length && may_fill) {
      console_.note(fmt::format("note: the answer was cut: the context of {} tokens is full",
                                engine_.options().max_seq_len));
    }
  }

  // Streams an answer. The first Ctrl-C ends it, the second one the program.
  llm::Result generate(llm::Request request) {
    StoppableWork work;
    std::optional<llm::Result> result;
    std::string pending;
    bool shown = false;
    llm::RequestId id = engine_.submit(std::move(request), [&](const llm::Update& update) {
      // Printed after the step: what throws here would pass through the engine.
      pending += update.text;
      if (update.result) result = *update.result;
    });
    auto show = [&] {
      shown = shown || !pending.empty();
      if (!console_.json() && !pending.empty()) console_.print_untrusted(pending);
      pending.clear();
    };
    do {
      show();
      if (work.stopped()) engine_.cancel(id);
      end_where_asked(shown);
    } while (engine_.step());
    show();
    if (!console_.json()) console_.print("\n");
    return std::move(result.value());
  }

  void end_where_asked(bool shown) {
    try {
      throw_if_interrupted();
    } catch (const Error&) {
      // The error's line on a terminal begins at its own line.
      if (shown && !console_.json()) console_.print("\n");
      throw;
    }
  }

  void tell_result(const std::string& user, const llm::Result& result) {
    data::Json json = event("answer");
    json.set("turn", turns_).set("prompt", user).set("text", result.text);
    json.set("finish_reason", llm::finish_reason_name(result.finish_reason));
    json.set("prompt_tokens", result.prompt_tokens).set("reused_tokens", result.reused_tokens);
    json.set("prefilled_tokens", result.prompt_tokens - result.reused_tokens);
    json.set("new_tokens", static_cast<int64_t>(result.ids.size()));
    json.set("context_left", engine_.options().max_seq_len - result.prompt_tokens -
                                 static_cast<int64_t>(result.ids.size()));
    json.set("first_token_seconds", result.timings.first_token);
    json.set("total_seconds", result.timings.total);
    console_.print_line(json);
  }

  const ChatCommand& command_;
  Console& console_;
  llm::Engine& engine_;
  Conversation conversation_;
  LineReader reader_;
  bool interactive_;
  int64_t turns_ = 0, prompt_tokens_ = 0, reused_tokens_ = 0, new_tokens_ = 0;
  double new_seconds_ = 0;
};

// The token that ends a turn, as the template writes it: plans often name only the end of a text.
void add_end_of_turn(ChatFormat& format, const text::Tokenizer& tokenizer, Console& console) {
  try {
    std::optional<int32_t> id = text::end_of_turn(format.chat, tokenizer);
    if (id) format.stop_ids.push_back(*id);
  } catch (const Error& error) {
    console.note("note: how the template ends an answer is not known: " +
                 std::string(error.what()));
  }
}

void run_chat(const ChatCommand& command, Console& console) {
  auto file = plan::PlanFile::open(command.plan);
  llm::ModelInfo model = llm::read_model_info(file->plan());
  auto tokenizer = llm::make_tokenizer(file->plan());
  if (!tokenizer) {
    throw Error(ErrorCode::Unsupported, "the plan carries no tokenizer, so it cannot chat")
        .at(command.plan)
        .fix("build it again from a folder with a tokenizer");
  }
  ChatFormat format =
      choose_chat_format(command.chat_template, file->plan().chat_template, *tokenizer);
  add_end_of_turn(format, *tokenizer, console);
  for (const std::string& field : llm::unfollowed_generation_fields(file->plan().generation)) {
    console.note("note: the plan's generation default " + field + " is not followed");
  }
  llm::EngineOptions options;
  options.device = device::DeviceId::parse(command.device);
  options.max_batch_size = 1;
  options.max_seq_len = command.max_seq_len;
  options.kept_prefixes = 1;
  Conversation conversation(tokenizer, std::move(format), parse_variables(command.variables),
                            command.system);
  auto engine = llm::Engine::open(file, options);
  std::string proof = proof_note(*file, engine->session().device());
  if (!proof.empty()) console.note("note: " + proof);
  Chat(command, console, *engine, std::move(conversation)).run();
}

}  // namespace

VerbAction declare_chat(CLI::App& app) {
  auto command = std::make_shared<ChatCommand>();
  app.add_option("plan", command->plan, "plan file")->required()->type_name("PLAN");
  app.add_option("--system", command->system, "the system message");
  app.add_option("--chat-template", command->chat_template,
                 "a Jinja file, or a built-in format by name (vicuna, chatml, llama-3, ...), in "
                 "place of the plan's")
      ->type_name("FILE|NAME");
  app.add_option("--template-var", command->variables,
                 "NAME=VALUE for the template: enable_thinking=false; may be given again")
      ->allow_extra_args(false);
  app.add_option("--on-full", command->on_full,
                 "when the context is full: refuse the message, or drop the oldest turns")
      ->check(CLI::IsMember({"refuse", "drop"}))
      ->capture_default_str();
  app.add_option("--max-seq-len", command->max_seq_len,
                 "tokens of the whole conversation; 0: as many as the plan was built for")
      ->check(at_least(0));
  declare_sampling(app, command->sampling);
  app.add_option("--device", command->device, "cpu, cuda or cuda:1")->capture_default_str();
  return [command](Console& console) { run_chat(*command, console); };
}

}  // namespace tenon::cli
