#include "report/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/escape.h"

namespace tenon::report {
namespace {

constexpr double kWidth = 720, kLeft = 64, kRight = 16;
constexpr int kColours = 6;  // of style.h

double largest_of(const Chart& chart) {
  double largest = 0;
  bool stacked = chart.kind == Chart::Kind::Bars;
  for (size_t i = 0; i < chart.categories.size(); ++i) {
    double sum = 0;
    for (const Series& series : chart.series) {
      double value = i < series.values.size() ? series.values[i] : NAN;
      if (!std::isfinite(value)) continue;
      sum = stacked ? sum + value : std::max(sum, value);
    }
    largest = std::max(largest, sum);
  }
  return largest;
}

std::string text_at(double x, double y, std::string_view anchor, std::string_view what,
                    std::string_view css = "label") {
  return fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n",
                     css, x, y, anchor, escape_html(what));
}

std::string line(double x1, double y1, double x2, double y2, std::string_view css) {
  return fmt::format(
      "<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", css, x1, y1,
      x2, y2);
}

std::string title_of(const Chart& chart, const Series& series, size_t i) {
  std::string name = series.name.empty() ? "" : series.name + ", ";
  return "<title>" +
         escape_html(name + chart.categories[i] + ": " + format_figure(series.values[i]) + " " +
                     chart.unit) +
         "</title>";
}

// A shape a series, so that colour is not all that tells them apart.
std::string mark(double x, double y, size_t series, const std::string& title) {
  std::string css = fmt::format("m{}", series % kColours);
  switch (series % 3) {
    case 0:
      return fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\">{}</circle>\n",
                         css, x, y, title);
    case 1:
      return fmt::format(
          "<rect class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"7\" height=\"7\">{}</rect>\n", css,
          x - 3.5, y - 3.5, title);
    default:
      return fmt::format("<path class=\"{}\" d=\"M{:.1f} {:.1f}l4.5 8h-9z\">{}</path>\n", css, x,
                         y - 5, title);
  }
}

std::string legend(const Chart& chart, double y) {
  std::string svg;
  double x = kLeft;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    if (chart.series[i].name.empty()) continue;
    double width = 26 + 6.6 * static_cast<double>(chart.series[i].name.size());
    if (x > kLeft && x + width > kWidth - kRight) {
      x = kLeft;
      y += 18;
    }
    svg += mark(x + 4, y - 4, i, "");
    svg += text_at(x + 14, y, "start", chart.series[i].name);
    x += width;
  }
  return svg;
}

// Rows that the legend of this chart takes, as legend() breaks them.
int legend_rows(const Chart& chart) {
  int rows = 0;
  double x = kWidth;
  for (const Series& series : chart.series) {
    if (series.name.empty()) continue;
    double width = 26 + 6.6 * static_cast<double>(series.name.size());
    if (rows == 0 || x + width > kWidth - kRight) {
      ++rows;
      x = kLeft;
    }
    x += width;
  }
  return rows;
}

std::string open_svg(const Chart& chart, double height) {
  return fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n", kWidth,
                     height, escape_html(chart.title)) +
         text_at(0, 16, "start", chart.title, "title");
}

std::string lines_svg(const Chart& chart) {
  double top = 34 + 18 * legend_rows(chart), plot = 200, bottom = top + plot;
  std::vector<double> ticks = ticks_up_to(largest_of(chart));
  auto y_of = [&](double value) { return bottom - plot * value / ticks.back(); };
  double step =
      (kWidth - kLeft - kRight) / static_cast<double>(std::max<size_t>(chart.categories.size(), 1));
  auto x_of = [&](size_t i) { return kLeft + step * (static_cast<double>(i) + 0.5); };
  std::string svg = open_svg(chart, bottom + 44) + legend(chart, 38);
  for (double tick : ticks) {
    svg += line(kLeft, y_of(tick), kWidth - kRight, y_of(tick), tick == 0 ? "axis" : "grid");
    svg += text_at(kLeft - 8, y_of(tick) + 4, "end", format_figure(tick));
  }
  svg += text_at(kLeft - 8, top - 10, "end", chart.unit);
  for (size_t i = 0; i < chart.categories.size(); ++i) {
    svg += text_at(x_of(i), bottom + 18, "middle", chart.categories[i]);
  }
  svg += text_at((kLeft + kWidth - kRight) / 2, bottom + 36, "middle", chart.categories_name);
  for (size_t s = 0; s < chart.series.size(); ++s) {
    const Series& series = chart.series[s];
    std::string points, marks;
    for (size_t i = 0; i < std::min(series.values.size(), chart.categories.size()); ++i) {
      if (!std::isfinite(series.values[i])) continue;
      points += fmt::format("{:.1f},{:.1f} ", x_of(i), y_of(series.values[i]));
      marks += mark(x_of(i), y_of(series.values[i]), s, title_of(chart, series, i));
    }
    svg += fmt::format("<polyline class=\"s{}\" points=\"{}\"/>\n", s % kColours, points) + marks;
  }
  return svg + "</svg>\n";
}

std::string bars_svg(const Chart& chart) {
  constexpr double kNames = 190, kRow = 22;
  double top = 34 + 18 * legend_rows(chart);
  double bottom = top + kRow * static_cast<double>(chart.categories.size());
  std::vector<double> ticks = ticks_up_to(largest_of(chart));
  double room = kWidth - kNames - kRight - 24;
  auto x_of = [&](double value) { return kNames + room * value / ticks.back(); };
  std::string svg = open_svg(chart, bottom + 44) + legend(chart, 38);
  for (double tick : ticks) {
    svg += line(x_of(tick), top, x_of(tick), bottom, tick == 0 ? "axis" : "grid");
    svg += text_at(x_of(tick), bottom + 18, "middle", format_figure(tick));
  }
  svg += text_at((kNames + kWidth - kRight) / 2, bottom + 36, "middle", chart.unit);
  for (size_t i = 0; i < chart.categories.size(); ++i) {
    double y = top + kRow * static_cast<double>(i), sum = 0;
    std::string name = chart.categories[i];
    // Names are paths: their end tells them apart.
    if (name.size() > 28) name = "..." + name.substr(name.size() - 25);
    svg += text_at(kNames - 8, y + 15, "end", name);
    for (size_t s = 0; s < chart.series.size(); ++s) {
      const Series& series = chart.series[s];
      double value = i < series.values.size() ? series.values[i] : NAN;
      if (!std::isfinite(value) || value <= 0) continue;
      svg += fmt::format(
          "<rect class=\"m{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
          "height=\"14\">{}</rect>\n",
          s % kColours, x_of(sum), y + 4, std::max(x_of(sum + value) - x_of(sum), 0.5),
          title_of(chart, series, i));
      sum += value;
    }
  }
  return svg + "</svg>\n";
}

}  // namespace

std::vector<double> ticks_up_to(double largest) {
  if (!(largest > 0) || !std::isfinite(largest)) return {0, 1};
  double power = std::pow(10, std::floor(std::log10(largest)));
  double step = power;
  for (double part : {0.1, 0.2, 0.25, 0.5, 1.0, 2.0}) {
    step = part * power;
    if (largest / step <= 5) break;
  }
  std::vector<double> ticks = {0};
  while (ticks.back() < largest * (1 - 1e-9)) {
    ticks.push_back(static_cast<double>(ticks.size()) * step);
  }
  return ticks;
}

std::string to_svg(const Chart& chart) {
  return chart.kind == Chart::Kind::Lines ? lines_svg(chart) : bars_svg(chart);
}

}  // namespace tenon::report
