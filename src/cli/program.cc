#include "cli/program.h"

#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "base/log.h"
#include "base/text.h"
#include "cli/console.h"
#include "cli/interruption.h"
#include "cli/named_values.h"
#include "cli/verb.h"

namespace tenon::cli {
namespace {

const std::map<std::string, LogLevel> kLogLevels = {
    {"trace", LogLevel::Trace}, {"debug", LogLevel::Debug}, {"info", LogLevel::Info},
    {"warn", LogLevel::Warn},   {"error", LogLevel::Error}, {"off", LogLevel::Off},
};

// What every verb understands.
struct CommonOptions {
  ConsoleOptions console;
  LogLevel log_level = LogLevel::Warn;
  CLI::Option* log_level_given = nullptr;
};

void declare_common(CLI::App& command, CommonOptions& common) {
  command.add_flag("--json", common.console.json, "one JSON document on stdout");
  command.add_flag("--quiet", common.console.quiet, "nothing on stderr but errors");
  common.log_level_given =
      command.add_option("--log-level", common.log_level, "trace, debug, info, warn, error or off")
          ->transform(named_values(kLogLevels));
}

// The three ways a verb ends badly, as exit codes.
int run_verb(const VerbAction& action, const CommonOptions& common) {
  if (common.log_level_given->count() > 0) set_log_level(common.log_level);
  Error error(ErrorCode::Internal, "unknown failure");
  try {
    watch_for_interruption(common.console.json);
    Console console(common.console);
    action(console);
    return 0;
  } catch (const OutputClosed&) {
    return 0;
  } catch (const Error& thrown) {
    error = thrown;
  } catch (const std::bad_alloc&) {
    error = Error(ErrorCode::OutOfMemory, "not enough memory");
  } catch (const std::system_error& thrown) {  // of std::thread: the process is at a limit
    error =
        Error(ErrorCode::OutOfMemory, thrown.what()).fix("raise the limits that ulimit -a shows");
  } catch (const std::exception& thrown) {
    error = Error(ErrorCode::Internal, thrown.what())
                .fix("this is a bug in Tenon; please report it with the command that led here");
  }
  print_error(error, common.console.json);
  return static_cast<int>(error.code());
}

// `left`: what was no option, argument or verb.
Error usage_error(const CLI::ParseError& error, const std::vector<std::string>& left,
                  bool no_verb) {
  if (no_verb && !left.empty()) {
    std::vector<std::string> names;
    for (const Verb& verb : verbs()) names.emplace_back(verb.name);
    return Error(ErrorCode::Usage, "there is no such verb")
        .got(left[0])
        .accepted(join(names, ", "));
  }
  // CLI11 lists what is left from its end, a value before its option.
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError))
    return Error(ErrorCode::Usage, "there is no such option or argument").got(join(left, " "));
  return Error(ErrorCode::Usage, error.what());
}

// The command line could not be parsed, or asked for help.
int answer_parse_error(const CLI::App& app, const CLI::ParseError& parse_error, bool json) {
  Console console({.json = json, .quiet = false});
  try {
    if (parse_error.get_name() == "CallForHelp") {
      const std::vector<CLI::App*> chosen = app.get_subcommands();
      console.print(chosen.empty() ? app.help() : chosen[0]->help());
      return 0;
    }
  } catch (const std::exception&) {
    return 0;
  }
  std::string verb;
  for (const CLI::App* chosen : app.get_subcommands()) verb = " " + chosen->get_name();
  Error error = usage_error(parse_error, app.remaining(true), verb.empty());
  print_error(error.fix("see tenon" + verb + " --help"), json);
  return static_cast<int>(ErrorCode::Usage);
}

bool asks_for_json(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) return true;
  }
  return false;
}

int run_command_line(int argc, char** argv) {
  CLI::App app("Tenon: from a trained model to a plan file that is proven to run as it should.",
               "tenon");
  app.require_subcommand(1);
  std::vector<CommonOptions> common(verbs().size());
  VerbAction chosen;
  const CommonOptions* chosen_common = nullptr;
  size_t index = 0;
  for (const Verb& verb : verbs()) {
    CLI::App* command = app.add_subcommand(verb.name, verb.what);
    CommonOptions& own = common[index++];
    VerbAction action = verb.declare(*command);
    declare_common(*command, own);
    command->callback([&chosen, &chosen_common, &own, action] {
      chosen = action;
      chosen_common = &own;
    });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return answer_parse_error(app, error, asks_for_json(argc, argv));
  }
  return run_verb(chosen, *chosen_common);
}

}  // namespace

int run_program(int argc, char** argv) {
  open_missing_standard_files();
  // Writing to a closed pipe is then an ordinary error of write().
  signal(SIGPIPE, SIG_IGN);
  try {
    return run_command_line(argc, argv);
  } catch (const std::bad_alloc&) {
    // Not even the options' names fit. What they took is free again, which may do for the error.
    try {
      print_error(Error(ErrorCode::OutOfMemory, "not enough memory"), asks_for_json(argc, argv));
    } catch (const std::bad_alloc&) {
    }
    return static_cast<int>(ErrorCode::OutOfMemory);
  }
}

}  // namespace tenon::cli
