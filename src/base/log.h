#pragma once

#include <string_view>

namespace tenon {

enum class LogLevel { Trace, Debug, Info, Warn, Error, Off };

// Logs go to stderr, one line each. TENON_LOG=trace|debug|info|warn|error|off sets the start level
// (default warn).
void set_log_level(LogLevel level);
LogLevel log_level();
void log(LogLevel level, std::string_view message);
inline void log_info(std::string_view message) {
  log(LogLevel::Info, message);
}
inline void log_warn(std::string_view message) {
  log(LogLevel::Warn, message);
}
inline void log_debug(std::string_view message) {
  log(LogLevel::Debug, message);
}

}  // namespace tenon
