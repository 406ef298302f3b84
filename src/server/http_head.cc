#include "server/http_head.h"

#include <algorithm>

#include "base/number.h"

namespace tenon::server {
namespace {

Response bad_request(std::string_view message) {
  return error_response(400, "bad_request", message);
}

bool is_token(char c) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::optional<Response> check_request_line(std::string_view line, const HttpLimits& limits) {
  size_t first = line.find(' '), last = line.rfind(' ');
  if (first == line.npos || first == last) return bad_request("not a request line");
  std::string_view method = line.substr(0, first), version = line.substr(last + 1);
  std::string_view target = line.substr(first + 1, last - first - 1);
  bool named =
      !method.empty() && method.size() <= 16 &&
      std::all_of(method.begin(), method.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!named) return bad_request("the method is no word in capitals");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    bool other = version.starts_with("HTTP/") && version.size() == 8;
    return other ? error_response(505, "http_version", "only HTTP/1.1 and HTTP/1.0 are spoken")
                 : bad_request("not a request line");
  }
  if (static_cast<int64_t>(target.size()) > limits.target_bytes)
    return error_response(414, "target_too_long", "the request's target is too long");
  // A blank, a control character or raw UTF-8 in a target has no agreed meaning.
  bool plain = std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < 127; });
  if (!plain || !target.starts_with('/') || target.find('#') != target.npos)
    return bad_request("the target is no absolute path of printable ASCII");
  return std::nullopt;
}

std::optional<Response> check_header_line(std::string_view line, const HttpLimits& limits) {
  if (static_cast<int64_t>(line.size()) > limits.header_bytes)
    return error_response(431, "headers_too_large", "a header is too long");
  size_t colon = line.find(':');
  bool named =
      colon != line.npos && colon > 0 &&
      std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(colon), is_token);
  if (!named) return bad_request("a header line does not begin with a name and a colon");
  bool clean = std::all_of(line.begin(), line.end(), [](char c) {
    return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != 127);
  });
  if (!clean) return bad_request("a header holds a control character");
  return std::nullopt;
}

// The name part of Host and Origin values: "localhost:8000" -> "localhost", "[::1]:80" -> "[::1]".
std::string_view host_name(std::string_view authority) {
  size_t end = authority.starts_with('[') ? authority.find(']') : authority.find(':');
  if (end == authority.npos) return authority;
  return authority.substr(0, authority.starts_with('[') ? end + 1 : end);
}

bool is_authority(std::string_view text) {
  auto fits = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-._:[]").find(c) != std::string_view::npos;
  };
  return !text.empty() && text.size() <= 255 && std::all_of(text.begin(), text.end(), fits);
}

std::optional<Response> check_host(const Request& request, const HostPolicy& hosts) {
  int64_t count = request.count_headers("Host");
  if (count == 0 && request.http_1_0 && !hosts.loopback_only) return std::nullopt;
  if (count != 1) return bad_request("a request has one Host header");
  const std::string& host = *request.header("Host");
  if (!is_authority(host)) return bad_request("the Host header names no host");
  if (!hosts.loopback_only) return std::nullopt;
  std::string_view name = host_name(host);
  if (name == "localhost" || name == "127.0.0.1" || name == "[::1]") return std::nullopt;
  return error_response(403, "foreign_host", "this server answers to localhost only");
}

// Browsers send Origin with every request that changes something; other clients send none.
std::optional<Response> check_origin(const Request& request) {
  const std::string* origin = request.header("Origin");
  if (!origin) return std::nullopt;
  const std::string* host = request.header("Host");
  if (host && *origin == "http://" + *host) return std::nullopt;
  if (host && *origin == "https://" + *host) return std::nullopt;  // behind a proxy that ends TLS
  return error_response(403, "foreign_origin", "pages of other sites may not use this server");
}

std::optional<Response> check_body_headers(const Request& request) {
  if (request.header("Transfer-Encoding")) {
    if (request.header("Content-Length"))
      return bad_request("Content-Length and Transfer-Encoding contradict each other");
    return error_response(411, "length_required", "bodies are sent with Content-Length");
  }
  if (request.count_headers("Content-Length") > 1) return bad_request("two Content-Length headers");
  if (const std::string* length = request.header("Content-Length")) {
    bool digits =
        !length->empty() && length->size() <= 18 &&
        std::all_of(length->begin(), length->end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) return bad_request("Content-Length is no number of bytes");
  }
  const std::string* encoding = request.header("Content-Encoding");
  if (encoding && *encoding != "identity")
    return error_response(415, "content_encoding", "bodies are sent as they are, not compressed");
  const std::string* expect = request.header("Expect");
  if (expect && *expect != "100-continue")
    return error_response(417, "expectation", "only 100-continue can be expected");
  return std::nullopt;
}

}  // namespace

std::optional<Response> check_head(std::string_view head, const HttpLimits& limits) {
  int64_t lines = 0;
  while (!head.empty()) {
    size_t end = head.find('\n');
    if (end == head.npos || end == 0 || head[end - 1] != '\r')
      return bad_request("lines of a head end in CR LF");
    std::string_view line = head.substr(0, end - 1);
    head.remove_prefix(end + 1);
    if (lines > 0 && line.empty()) break;
    if (++lines > limits.headers + 1)
      return error_response(431, "headers_too_large", "too many headers");
    auto refusal = lines == 1 ? check_request_line(line, limits) : check_header_line(line, limits);
    if (refusal) return refusal;
  }
  return std::nullopt;
}

std::optional<Response> check_headers(const Request& request, const HostPolicy& hosts) {
  if (auto refusal = check_host(request, hosts)) return refusal;
  if (auto refusal = check_origin(request)) return refusal;
  return check_body_headers(request);
}

int64_t content_length(const Request& request) {
  const std::string* length = request.header("Content-Length");
  return length ? parse_number<int64_t>(*length).value_or(0) : 0;
}

}  // namespace tenon::server
