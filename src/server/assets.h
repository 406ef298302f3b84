#pragma once

#include <span>
#include <string_view>

namespace tenon::server {

// A file of web/, in the binary.
struct Asset {
  std::string_view path;  // "/page.js"
  std::string_view type;  // "text/javascript; charset=utf-8"
  std::string_view content;
};

std::span<const Asset> assets();

}  // namespace tenon::server
