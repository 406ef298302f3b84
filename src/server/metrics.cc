#include "server/metrics.h"

#include <algorithm>

#include "base/text.h"

namespace tenon::server {
namespace {

std::string line(std::string_view name, std::string_view labels, std::string_view value) {
  std::string text(name);
  text.append("{").append(labels).append("} ").append(value).append("\n");
  return text;
}

std::string type_line(std::string_view name, std::string_view type) {
  return "# TYPE " + std::string(name) + " " + std::string(type) + "\n";
}

}  // namespace

std::string label(std::string_view name, std::string_view value) {
  std::string text(name);
  text += "=\"";
  for (char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    if (c == '\n')
      text += "\\n";
    else
      text += c;
  }
  return text + "\"";
}

void Histogram::add(double seconds) {
  auto edge = std::lower_bound(kEdges.begin(), kEdges.end(), seconds);
  ++counts_[static_cast<size_t>(edge - kEdges.begin())];
  sum_ += seconds;
}

std::string Histogram::text(std::string_view name, std::string_view labels) const {
  std::string lines, stem(name), all(labels);
  uint64_t count = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    count += counts_[i];
    std::string edge = i < kEdges.size() ? format_double(kEdges[i]) : "+Inf";
    lines += line(stem + "_bucket", all + "," + label("le", edge), std::to_string(count));
  }
  return lines + line(stem + "_sum", all, format_double(sum_)) +
         line(stem + "_count", all, std::to_string(count));
}

Metrics::Metrics(std::string_view model_name) : model_label_(label("model_name", model_name)) {}

void Metrics::count(std::string_view endpoint, int status, double waited, double took) {
  std::lock_guard lock(mutex_);
  auto found = endpoints_.find(endpoint);
  if (found == endpoints_.end()) found = endpoints_.try_emplace(std::string(endpoint)).first;
  ++found->second.statuses[status];
  found->second.waited.add(waited);
  found->second.took.add(waited + took);
}

std::string Metrics::text(const std::map<std::string, double>& gauges,
                          const std::map<std::string, std::string>& info) const {
  std::string counts = type_line("tenon:http_requests_total", "counter");
  std::string waited = type_line("tenon:request_queue_time_seconds", "histogram");
  std::string took = type_line("tenon:e2e_request_latency_seconds", "histogram");
  {
    std::lock_guard lock(mutex_);
    for (const auto& [name, endpoint] : endpoints_) {
      std::string labels = model_label_ + "," + label("path", name);
      for (const auto& [status, count] : endpoint.statuses) {
        counts +=
            line("tenon:http_requests_total",
                 labels + "," + label("status", std::to_string(status)), std::to_string(count));
      }
      waited += endpoint.waited.text("tenon:request_queue_time_seconds", labels);
      took += endpoint.took.text("tenon:e2e_request_latency_seconds", labels);
    }
  }
  std::string text = counts + waited + took;
  for (const auto& [name, value] : gauges)
    text += type_line(name, "gauge") + line(name, model_label_, format_double(value));
  std::string labels = model_label_;
  for (const auto& [name, value] : info) labels += "," + label(name, value);
  return text + type_line("tenon:plan_info", "gauge") + line("tenon:plan_info", labels, "1");
}

}  // namespace tenon::server
