#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace tenon::server {

// Counts of times in the buckets of a Prometheus histogram.
class Histogram {
 public:
  static constexpr std::array<double, 12> kEdges = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                    0.1,   0.25,   1,     2.5,  10,    60};
  void add(double seconds);
  // Lines of that metric; `labels` as "a=\"b\"", without braces.
  std::string text(std::string_view name, std::string_view labels) const;

 private:
  std::array<uint64_t, kEdges.size() + 1> counts_{};
  double sum_ = 0;
};

// What GET /metrics tells, in Prometheus' text format 0.0.4. Thread-safe.
class Metrics {
 public:
  explicit Metrics(std::string_view model_name);
  void count(std::string_view endpoint, int status, double waited, double took);
  // `gauges`: name and value of what is so at this moment; `info`: labels of tenon:plan_info.
  std::string text(const std::map<std::string, double>& gauges,
                   const std::map<std::string, std::string>& info) const;

 private:
  struct Endpoint {
    std::map<int, uint64_t> statuses;
    Histogram waited, took;
  };
  std::string model_label_;
  mutable std::mutex mutex_;
  std::map<std::string, Endpoint, std::less<>> endpoints_;
};

// A label's value with backslash, quote and newline escaped.
std::string label(std::string_view name, std::string_view value);

}  // namespace tenon::server
