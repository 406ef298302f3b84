#include "report/page.h"

#include <fmt/format.h>

#include <cmath>

namespace tenon::report {

std::string format_figure(double value) {
  if (!std::isfinite(value)) return "not finite";
  if (value == 0) return "0";
  double size = std::abs(value);
  if (size >= 1e6 || size < 1e-3) return fmt::format("{:.3g}", value);
  return size >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
}

}  // namespace tenon::report
