#include "base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/text.h"

namespace tenon {

ProgressStyle StderrProgress::detect(bool quiet) {
  if (quiet) return ProgressStyle::Quiet;
  return isatty(STDERR_FILENO) ? ProgressStyle::Terminal : ProgressStyle::Lines;
}

void StderrProgress::begin(const std::string& phase, int64_t total) {
  end();
  phase_ = phase;
  total_ = total;
  done_ = 0;
  active_ = true;
  drawn_ = false;
  started_ = last_draw_ = Clock::now();
  if (style_ == ProgressStyle::Terminal) draw(false);
}

void StderrProgress::advance(int64_t done_in_all) {
  done_ = done_in_all;
  if (!active_ || style_ == ProgressStyle::Quiet) return;
  auto interval = style_ == ProgressStyle::Terminal ? std::chrono::milliseconds(100)
                                                    : std::chrono::milliseconds(5000);
  if (Clock::now() - last_draw_ < interval) return;
  draw(false);
}

void StderrProgress::end() {
  if (!active_) return;
  if (style_ != ProgressStyle::Quiet) draw(true);
  active_ = false;
}

void StderrProgress::note(const std::string& line) {
  if (style_ == ProgressStyle::Quiet) return;
  if (style_ == ProgressStyle::Terminal && active_) std::fprintf(stderr, "\r\033[K");
  std::fprintf(stderr, "%s\n", line.c_str());
  if (style_ == ProgressStyle::Terminal && active_) draw(false);
}

void StderrProgress::draw(bool last) {
  last_draw_ = Clock::now();
  double elapsed = std::chrono::duration<double>(last_draw_ - started_).count();
  if (last) {
    const char* clear = style_ == ProgressStyle::Terminal ? "\r\033[K" : "";
    std::fprintf(stderr, "%s%s: %s\n", clear, phase_.c_str(), format_seconds(elapsed).c_str());
    return;
  }
  double share = total_ > 0 ? std::clamp(static_cast<double>(done_) / total_, 0.0, 1.0) : 0.0;
  std::string eta = share > 0 ? format_seconds(elapsed * (1 - share) / share) : "?";
  if (style_ == ProgressStyle::Lines) {
    std::fprintf(stderr, "%s: %.0f %%, %s left\n", phase_.c_str(), share * 100, eta.c_str());
    return;
  }
  constexpr int kWidth = 30;
  std::string bar(static_cast<size_t>(share * kWidth), '#');
  bar.resize(kWidth, '.');
  std::fprintf(stderr, "\r\033[K%s [%s] %3.0f %%, %s left", phase_.c_str(), bar.c_str(),
               share * 100, eta.c_str());
  std::fflush(stderr);
}

}  // namespace tenon
