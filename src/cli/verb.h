#pragma once

#include <functional>
#include <span>

#include "cli/console.h"

namespace CLI {
class App;
}

namespace tenon::cli {

// What a verb does once its command line is parsed. Throws tenon::Error where it fails.
using VerbAction = std::function<void(Console&)>;

// One verb, in one file of its name.
struct Verb {
  const char* name;
  const char* what;  // one line of --help
  // Declares the verb's options on its command and returns its action.
  VerbAction (*declare)(CLI::App& command);
};

VerbAction declare_build(CLI::App& command);
VerbAction declare_run(CLI::App& command);
VerbAction declare_chat(CLI::App& command);
VerbAction declare_serve(CLI::App& command);
VerbAction declare_tune(CLI::App& command);
VerbAction declare_inspect(CLI::App& command);
VerbAction declare_doctor(CLI::App& command);
VerbAction declare_compare(CLI::App& command);
VerbAction declare_eval(CLI::App& command);
VerbAction declare_bench(CLI::App& command);
VerbAction declare_profile(CLI::App& command);
VerbAction declare_report(CLI::App& command);
VerbAction declare_version(CLI::App& command);

// In the order of --help.
std::span<const Verb> verbs();

}  // namespace tenon::cli
