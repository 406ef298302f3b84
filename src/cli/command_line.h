#pragma once

#include <string>

namespace tenon::cli {

// The command line of this process, quoted for a shell: what makes a result again. Empty where the
// system does not tell.
std::string command_line();

}  // namespace tenon::cli
