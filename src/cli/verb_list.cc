#include "cli/verb.h"

namespace tenon::cli {

std::span<const Verb> verbs() {
  static constexpr Verb kVerbs[] = {
      {"build", "make a plan from a model folder, and prove it", declare_build},
      {"run", "generate text with a plan", declare_run},
      {"inspect", "show what is in a plan or a model folder", declare_inspect},
      {"version", "print the version and what it runs on", declare_version},
  };
  return kVerbs;
}

}  // namespace tenon::cli
