#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <string>

namespace tenon::cli {

// Takes one of the names for its value. CLI11's own transformer tells users the numbers that stand
// behind an enumeration, and takes them.
template <class Value>
CLI::Validator named_values(const std::map<std::string, Value>& values) {
  std::string names;
  for (const auto& [name, value] : values) names += (names.empty() ? "" : ",") + name;
  auto find = [values, names](std::string& input) {
    auto found = values.find(input);
    if (found == values.end()) return input + " not in {" + names + "}";
    input = std::to_string(static_cast<int64_t>(found->second));
    return std::string();
  };
  return CLI::Validator(find, "{" + names + "}");
}

}  // namespace tenon::cli
