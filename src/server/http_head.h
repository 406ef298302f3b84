#pragma once

#include <optional>
#include <string_view>

#include "server/http_limits.h"
#include "server/http_types.h"

namespace tenon::server {

// The bytes of a head (request line and headers with their last empty line), before they are
// parsed: what a lenient parser would read in another way than the next one is refused. Folded
// lines, control characters, lines that end otherwise than in CR LF, blanks around a header's name,
// targets that are no plain absolute path, too many or too long lines.
std::optional<Response> check_head(std::string_view head, const HttpLimits& limits);

// Who may be meant by Host. A server on the loopback address answers to its own names only, so
// that a page of another site cannot reach it through a name that resolves to 127.0.0.1.
struct HostPolicy {
  bool loopback_only = true;
};

// Headers that say how to read the body, whom the request is for and where it comes from.
std::optional<Response> check_headers(const Request& request, const HostPolicy& hosts);

// Of a request whose headers were checked; 0 where none is given.
int64_t content_length(const Request& request);

}  // namespace tenon::server
