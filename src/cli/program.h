#pragma once

namespace tenon::cli {

// The whole of `tenon`: parses the command line, runs one verb, returns the exit code
// (docs/exit_codes.md). Throws nothing.
int run_program(int argc, char** argv);

}  // namespace tenon::cli
