#pragma once

#include <string>

#include "report/page.h"

namespace tenon::report {

// The chart as an <svg> element for a page with the style sheet of style.h: colours are its
// classes, so that they follow light and dark. Every mark has a title that names its value.
std::string to_svg(const Chart& chart);

// Round values from 0 to at least `largest`: 0, 20, 40, 60.
std::vector<double> ticks_up_to(double largest);

}  // namespace tenon::report
