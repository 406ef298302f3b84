#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace tenon {

// Where long work says how far it is. Implementations: a bar on a terminal, lines every few seconds
// when piped, silence.
class Progress {
 public:
  virtual ~Progress() = default;
  // A new phase of `total` units ("writing weights", 13476831232, "bytes").
  virtual void begin(const std::string& phase, int64_t total) = 0;
  virtual void advance(int64_t done_in_all) = 0;
  virtual void end() = 0;
  // A line worth keeping, above the bar.
  virtual void note(const std::string& line) = 0;
};

enum class ProgressStyle { Terminal, Lines, Quiet };

// Writes to stderr. `Terminal` where stderr is a terminal, else `Lines`; `Quiet` prints nothing.
class StderrProgress : public Progress {
 public:
  explicit StderrProgress(ProgressStyle style) : style_(style) {}
  ~StderrProgress() override { end(); }
  static ProgressStyle detect(bool quiet);

  void begin(const std::string& phase, int64_t total) override;
  void advance(int64_t done_in_all) override;
  void end() override;
  void note(const std::string& line) override;

 private:
  void draw(bool last);
  using Clock = std::chrono::steady_clock;
  ProgressStyle style_;
  std::string phase_;
  int64_t total_ = 0, done_ = 0;
  bool active_ = false, drawn_ = false;
  Clock::time_point started_{}, last_draw_{};
};

}  // namespace tenon
