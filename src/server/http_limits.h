#pragma once

#include <cstdint>

namespace tenon::server {

// What one client may cost the server (docs/http.md gives reasons). Sizes in bytes, times in
// seconds.
struct HttpLimits {
  int64_t head_bytes = 32 << 10;   // request line and headers
  int64_t target_bytes = 8 << 10;  // path and query
  int64_t header_bytes = 8 << 10;  // one header line
  int64_t headers = 100;
  int64_t connections = 256;              // more are told 503 and closed
  int64_t waiting = 64;                   // requests that wait for the worker; more are told 429
  int64_t body_bytes_held = 256ll << 20;  // of all requests together; more are told 503
  double head_seconds = 10;               // from a head's first byte to its last
  double idle_seconds = 60;               // between two requests of a connection
  double body_seconds = 10;               // and another for each `body_bytes_per_second`
  double body_bytes_per_second = 64 << 10;
  double write_seconds = 60;  // a client that does not read its answer
};

}  // namespace tenon::server
