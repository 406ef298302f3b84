#pragma once

#include <string>

namespace tenon::cli {

// SIGINT, SIGTERM and SIGHUP. The first one asks: whoever works calls throw_if_interrupted()
// between pieces of work and unwinds. What has not unwound two seconds later, or at a second
// signal, is ended with the same exit code, temporaries removed. Signals the caller ignores (nohup)
// stay ignored.

// Call before any other thread is made: it blocks the signals in this thread and those made later.
void watch_for_interruption(bool json);
// A file that is being written: its temporaries of this process go when the process is ended.
void remove_temporaries_when_ended(const std::string& path);
// Throws ErrorCode::Interrupted or Terminated.
void throw_if_interrupted();
// Becomes readable when the program is asked to end: to be polled beside an input that is waited
// for.
int interruption_fd();

// While one lives, the first SIGINT stops the piece of work it stands for (one answer of a chat),
// not the program; the second one does as always. At most one lives at a time.
class StoppableWork {
 public:
  StoppableWork();
  ~StoppableWork();
  StoppableWork(const StoppableWork&) = delete;
  StoppableWork& operator=(const StoppableWork&) = delete;
  bool stopped() const;
};

}  // namespace tenon::cli
