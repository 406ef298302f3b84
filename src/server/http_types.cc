#include "server/http_types.h"

#include <algorithm>

#include "data/json.h"

namespace tenon::server {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

const std::string* Request::header(std::string_view name) const {
  for (const Header& header : headers)
    if (same_name(header.name, name)) return &header.value;
  return nullptr;
}

int64_t Request::count_headers(std::string_view name) const {
  return std::count_if(headers.begin(), headers.end(),
                       [&](const Header& header) { return same_name(header.name, name); });
}

Response error_response(int status, std::string_view code, std::string_view message,
                        std::string_view param) {
  data::Json error = data::Json::object(), document = data::Json::object();
  error.set("message", message)
      .set("type", status < 500 ? "invalid_request_error" : "server_error");
  error.set("param", param.empty() ? data::Json() : data::Json(param)).set("code", code);
  document.set("error", std::move(error));
  return {status, "application/json", document.dump() + "\n", {}};
}

}  // namespace tenon::server
