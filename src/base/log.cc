#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <string>

#include "base/text.h"

namespace tenon {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  return static_cast<spdlog::level::level_enum>(static_cast<int>(level) +
                                                (level == LogLevel::Off ? 1 : 0));
}

LogLevel level_from_environment() {
  const char* text = std::getenv("TENON_LOG");
  std::string name = text ? text : "";
  if (name == "trace") return LogLevel::Trace;
  if (name == "debug") return LogLevel::Debug;
  if (name == "info") return LogLevel::Info;
  if (name == "error") return LogLevel::Error;
  if (name == "off") return LogLevel::Off;
  return LogLevel::Warn;
}

struct Logger {
  LogLevel level = level_from_environment();
  std::shared_ptr<spdlog::logger> sink;
  Logger()
      : sink(std::make_shared<spdlog::logger>("tenon",
                                              std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
    sink->set_pattern("%l: %v");
    sink->set_level(to_spdlog(level));
  }
};

Logger& logger() {
  static Logger instance;
  return instance;
}

}  // namespace

void set_log_level(LogLevel level) {
  logger().level = level;
  logger().sink->set_level(to_spdlog(level));
}

LogLevel log_level() {
  return logger().level;
}

void log(LogLevel level, std::string_view message) {
  if (level < logger().level) return;
  logger().sink->log(to_spdlog(level), escape_for_message(message));
}

}  // namespace tenon
