#include "cli/verb.h"

namespace tenon::cli {

std::span<const Verb> verbs() {
  static constexpr Verb kVerbs[] = {
      {"build", "make a plan from a model folder, and prove it", declare_build},
      {"run", "run a plan: text from prompts, masks from a picture", declare_run},
      {"chat", "talk with a plan, turn by turn", declare_chat},
      {"serve", "a page and an HTTP API for a plan that takes pictures", declare_serve},
      {"tune", "measure on this device what each step runs fastest on", declare_tune},
      {"inspect", "show what is in a plan or a model folder", declare_inspect},
      {"compare", "hold a plan against its model, tensor by tensor", declare_compare},
      {"eval", "ROUGE, perplexity or KL divergence over a text", declare_eval},
      {"bench", "time to first token, time per token, tokens per second", declare_bench},
      {"profile", "time, bytes and arithmetic of each step, and a trace", declare_profile},
      {"report", "accuracy, speed and evidence of a plan on one page", declare_report},
      {"doctor", "show what this machine has, what is missing and what it would bring",
       declare_doctor},
      {"version", "print the version and what it runs on", declare_version},
  };
  return kVerbs;
}

}  // namespace tenon::cli
