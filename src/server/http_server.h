#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "server/api_key.h"
#include "server/http_limits.h"
#include "server/http_types.h"

namespace tenon::server {

struct HttpState;

struct HttpOptions {
  std::string address = "127.0.0.1";  // of this machine; 0.0.0.0 or :: for all
  uint16_t port = 8000;               // 0: one that is free
  HttpLimits limits;
  ApiKey api_key;
};

// HTTP/1.1 over one thread for the sockets and one worker. See docs/http.md for what it refuses.
class HttpServer {
 public:
  // Listens from here on. Throws ErrorCode::Usage for an address that is none, ErrorCode::Io where
  // it cannot be listened on. `handler` is borrowed.
  HttpServer(const HttpOptions& options, Handler& handler);
  ~HttpServer();

  uint16_t port() const;
  // "http://127.0.0.1:8000"
  std::string url() const;
  bool is_loopback() const;

  // Serves until the file descriptor becomes readable, then ends what is running as soon as it
  // asks whether it is abandoned.
  void run(int stop_fd);

  // Requests that run on the worker or wait for it.
  int64_t running() const;
  int64_t waiting() const;

 private:
  std::unique_ptr<HttpState> state_;
};

}  // namespace tenon::server
