#pragma once

namespace tenon::bad_inputs {

// From here on the process may read files and start threads, and nothing else: a system call that
// starts a process or a program, opens a socket, or changes a file or a folder kills it (SIGSYS).
// Open what must be written before. False where this kernel has no seccomp filters.
bool seal_process();

}  // namespace tenon::bad_inputs
