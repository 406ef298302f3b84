#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/function_ref.h"

namespace tenon::server {

struct Header {
  std::string name, value;  // the name as it came
};

struct Request {
  std::string method;  // "GET"
  std::string path;    // as it came, nothing decoded; begins with '/'
  std::string query;   // after '?'
  bool http_1_0 = false;
  std::vector<Header> headers;
  std::string body;

  // The value of the first header of that name (upper and lower case are one), or nullptr.
  const std::string* header(std::string_view name) const;
  int64_t count_headers(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  std::vector<Header> headers;
};

// {"error": {"message", "type", "param", "code"}}, the form that clients of other servers know. An
// empty `param` is null.
Response error_response(int status, std::string_view code, std::string_view message,
                        std::string_view param = "");

// What a request may send, known from its head.
struct Route {
  int64_t most_body_bytes = 0;
  bool is_work = false;  // may take long: runs on the worker, one after the other
};

// Whether nobody waits for the answer any more; cheap enough to ask between pieces of work.
using Abandoned = FunctionRef<bool()>;

// Who answers. `route` and answers that are no work run on the thread of the sockets.
class Handler {
 public:
  virtual ~Handler() = default;
  // Or the refusal: no such path, method or type.
  virtual std::variant<Route, Response> route(const Request& request) = 0;
  // tenon::Error becomes a response; anything else thrown is a bug and becomes a 500.
  virtual Response answer(const Request& request, Abandoned abandoned) = 0;
  // After an answer, with the seconds it waited for the worker and then took.
  virtual void answered(const Request& request, int status, double waited, double took) = 0;
};

}  // namespace tenon::server
