#pragma once

#include "base/progress.h"
#include "cli/console.h"
#include "cli/interruption.h"

namespace tenon::cli {

// Progress on stderr; each report is also a place where an interruption takes effect.
class CliProgress : public Progress {
 public:
  explicit CliProgress(const Console& console) : stderr_(StderrProgress::detect(console.quiet())) {}

  void begin(const std::string& phase, int64_t total) override {
    throw_if_interrupted();
    stderr_.begin(phase, total);
  }
  void advance(int64_t done_in_all) override {
    throw_if_interrupted();
    stderr_.advance(done_in_all);
  }
  void end() override {
    stderr_.end();
    throw_if_interrupted();
  }
  void note(const std::string& line) override { stderr_.note(printable(line)); }

 private:
  StderrProgress stderr_;
};

}  // namespace tenon::cli
