#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "base/text.h"

namespace tenon::cli {

// A number from `least` to `most`, or above `least` where `open`. CLI11's own Range takes NaN,
// which a budget would never be missed by, or always.
inline CLI::Validator number_within(double least, double most, bool open = false) {
  auto check = [=](std::string& text) {
    double value = 0;
    bool good = CLI::detail::lexical_cast(text, value) && value <= most &&
                (open ? value > least : value >= least);
    if (good) return std::string();
    return "out of range; got " + text + ", accepted " + (open ? "above " : "at least ") +
           format_double(least) + ", at most " + format_double(most);
  };
  return CLI::Validator(check, "");
}

// A whole number. CLI11's own check tells the largest double to those who give -1.
inline CLI::Validator at_least(int64_t least) {
  auto check = [=](std::string& text) {
    int64_t value = 0;
    if (CLI::detail::lexical_cast(text, value) && value >= least) return std::string();
    return "out of range; got " + text + ", accepted whole numbers from " + std::to_string(least);
  };
  return CLI::Validator(check, "");
}

// Of a mean KL divergence, an error over an RMS, a perplexity.
inline CLI::Validator budget() {
  return number_within(0, 1e9, true);
}

}  // namespace tenon::cli
