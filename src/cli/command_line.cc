#include "cli/command_line.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string_view>

namespace tenon::cli {
namespace {

std::string quoted(std::string_view word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+:,./@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return std::string(word);
  std::string out = "'";
  for (char c : word) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

}  // namespace

std::string command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string words((std::istreambuf_iterator<char>(file)), {}), line;
  for (size_t begin = 0; begin < words.size();) {
    size_t end = std::min(words.find('\0', begin), words.size());
    std::string_view word = std::string_view(words).substr(begin, end - begin);
    // The program by its name: where it lies differs between machines.
    line += begin == 0 ? "tenon" : " " + quoted(word);
    begin = end + 1;
  }
  return line;
}

}  // namespace tenon::cli
