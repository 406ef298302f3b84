#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "report/sections.h"

namespace tenon::report {
namespace {

using data::Json;

struct Point {
  int64_t batch = 0, prompt = 0, fresh = 0;
  auto operator<=>(const Point&) const = default;
};

struct Figures {
  double first = NAN, each = NAN, rate = NAN;  // seconds, seconds, tokens per second
  double each_p90 = NAN, each_p99 = NAN, bandwidth = NAN, arithmetic = NAN;
};

struct Run {
  std::string name;
  std::map<Point, Figures> points;
};

double number(const Json* value) {
  if (!value) return NAN;
  if (value->is_number()) return value->as_double("$");
  return NAN;
}

// A time as a number, or as {"p50", "p90", ...}.
double time_of(const Json& row, const char* field, const char* quantile) {
  const Json* value = row.find(field);
  if (value && value->is_object()) {
    return value->get_int("count", 1) > 0 ? number(value->find(quantile)) : NAN;
  }
  return std::string_view(quantile) == "p50" ? number(value) : NAN;
}

Run read_run(const std::string& name, const Json& document) {
  Run run{.name = name, .points = {}};
  const Json* rows = document.find("rows");
  if (!rows || !rows->is_array()) {
    throw Error(ErrorCode::BadInput, "a document of measurements has no rows")
        .at(name)
        .accepted("what tenon bench --json prints");
  }
  for (const Json& row : rows->as_array("rows")) {
    Point point{row.get_int("batch", 1), row.get_int("prompt_tokens", 0),
                row.get_int("new_tokens", 0)};
    run.points[point] = {.first = time_of(row, "first_token_seconds", "p50"),
                         .each = time_of(row, "per_token_seconds", "p50"),
                         .rate = number(row.find("tokens_per_second")),
                         .each_p90 = time_of(row, "per_token_seconds", "p90"),
                         .each_p99 = time_of(row, "per_token_seconds", "p99"),
                         .bandwidth = number(row.find("token_share_of_bandwidth")),
                         .arithmetic = number(row.find("prompt_share_of_arithmetic"))};
    // One new token is the first one: nothing was measured of those that follow.
    if (!std::isfinite(run.points[point].each)) run.points[point].bandwidth = NAN;
  }
  return run;
}

std::string cell(double value) {
  return std::isfinite(value) ? format_figure(value) : "";
}

// What all points of one chart share; 0: the axis.
std::string describe(const Point& rest) {
  std::string shared = rest.batch == 0 ? fmt::format("prompts of {}", rest.prompt)
                                       : fmt::format("batch {}", rest.batch);
  return fmt::format("{}, {} new tokens", shared, rest.fresh);
}

// Lines over one axis of the grid; one chart for each value of the other axes.
template <class AxisOf, class RestOf, class ValueOf>
void add_charts(const std::vector<Run>& runs, const std::string& what, const std::string& unit,
                const std::string& axis, AxisOf axis_of, RestOf rest_of, ValueOf value_of,
                Page& page) {
  std::map<Point, std::set<int64_t>> charts;
  for (const Run& run : runs) {
    for (const auto& [point, figures] : run.points) {
      if (std::isfinite(value_of(figures))) charts[rest_of(point)].insert(axis_of(point));
    }
  }
  for (const auto& [rest, values] : charts) {
    if (values.size() < 2) continue;
    Chart chart{.title = what + ", " + describe(rest), .unit = unit, .categories_name = axis};
    for (int64_t value : values) chart.categories.push_back(std::to_string(value));
    for (const Run& run : runs) {
      Series series{.name = run.name};
      bool any = false;
      for (int64_t value : values) {
        double found = NAN;
        for (const auto& [point, figures] : run.points) {
          if (axis_of(point) == value && rest_of(point) == rest) found = value_of(figures);
        }
        any = any || std::isfinite(found);
        series.values.push_back(found);
      }
      if (any) chart.series.push_back(std::move(series));
    }
    page.blocks.push_back(std::move(chart));
  }
}

Table points_table(const std::vector<Run>& runs) {
  Table table{.head = {"", "batch", "prompt", "new", "first token, ms", "per token, ms", "p90",
                       "p99", "tokens/s", "of arithmetic", "of bandwidth"},
              .align = "lrrrrrrrrrr"};
  auto share = [](double value) { return std::isfinite(value) ? percent(value) : ""; };
  for (const Run& run : runs) {
    for (const auto& [point, figures] : run.points) {
      table.rows.push_back({run.name, std::to_string(point.batch), std::to_string(point.prompt),
                            std::to_string(point.fresh), cell(1000 * figures.first),
                            cell(1000 * figures.each), cell(1000 * figures.each_p90),
                            cell(1000 * figures.each_p99), cell(figures.rate),
                            share(figures.arithmetic), share(figures.bandwidth)});
    }
  }
  return table;
}

// How much faster the plan is than each baseline where both were measured.
Table speedup_table(const std::vector<Run>& runs) {
  Table table{.head = {"against", "batch", "prompt", "new", "first token", "per token", "tokens/s"},
              .align = "lrrrrrr"};
  auto times = [](double ratio) {
    return std::isfinite(ratio) ? fmt::format("{:.2f} x", ratio) : "";
  };
  for (size_t i = 1; i < runs.size(); ++i) {
    for (const auto& [point, other] : runs[i].points) {
      auto own = runs[0].points.find(point);
      if (own == runs[0].points.end()) continue;
      table.rows.push_back({runs[i].name, std::to_string(point.batch), std::to_string(point.prompt),
                            std::to_string(point.fresh), times(other.first / own->second.first),
                            times(other.each / own->second.each),
                            times(own->second.rate / other.rate)});
    }
  }
  return table;
}

std::string how_measured(const Json& document) {
  std::string text = "On " + document.get_string("device_description", "?") + ".";
  if (const Json* ceilings = document.find("ceilings")) {
    text += fmt::format(" Ceilings measured in the same run: {} B/s ({}), {} FLOP/s ({}).",
                        format_figure(ceilings->get_double("bytes_per_second", 0)),
                        ceilings->get_string("bytes_how", "?"),
                        format_figure(ceilings->get_double("flops_per_second", 0)),
                        ceilings->get_string("flops_how", "?"));
    double codes = ceilings->get_double("int8_operations_per_second", 0);
    if (codes > 0) text += fmt::format(" Products of 8-bit codes: {} op/s.", format_figure(codes));
  }
  return text + " Times are medians; requests of a batch are submitted together and run greedily.";
}

void add_all_charts(const std::vector<Run>& runs, Page& page) {
  auto batch = [](const Point& p) { return p.batch; };
  auto prompt = [](const Point& p) { return p.prompt; };
  auto lengths = [](const Point& p) { return Point{0, p.prompt, p.fresh}; };
  auto others = [](const Point& p) { return Point{p.batch, 0, p.fresh}; };
  auto first = [](const Figures& f) { return 1000 * f.first; };
  auto each = [](const Figures& f) { return 1000 * f.each; };
  auto rate = [](const Figures& f) { return f.rate; };
  add_charts(runs, "New tokens per second", "1/s", "batch", batch, lengths, rate, page);
  add_charts(runs, "Time per token", "ms", "batch", batch, lengths, each, page);
  add_charts(runs, "Time to first token", "ms", "prompt tokens", prompt, others, first, page);
  add_charts(runs, "Time per token", "ms", "prompt tokens", prompt, others, each, page);
}

}  // namespace

void add_speed(const ReportInputs& inputs, Page& page) {
  page.blocks.push_back(Heading{2, "Latency and throughput"});
  std::vector<Run> runs;
  auto documents = documents_of(inputs, "bench");
  if (!documents.empty()) runs.push_back(read_run("this plan", *documents[0]));
  for (const Baseline& baseline : inputs.baselines) {
    runs.push_back(read_run(baseline.name, baseline.document));
  }
  if (runs.empty()) {
    page.blocks.push_back(Paragraph{"Not measured for this report; tenon bench measures it."});
    return;
  }
  if (!documents.empty()) page.blocks.push_back(Paragraph{how_measured(*documents[0])});
  add_all_charts(runs, page);
  page.blocks.push_back(points_table(runs));
  if (documents.empty() || inputs.baselines.empty()) return;
  Table speedups = speedup_table(runs);
  if (speedups.rows.empty()) return;
  page.blocks.push_back(Heading{3, "Beside the baselines"});
  page.blocks.push_back(std::move(speedups));
}

}  // namespace tenon::report
