#include "server/http_head.h"

#include <algorithm>

#include "data/json.h"
#include "fuzz_input.h"

namespace {

// A refusal is an HTTP error whose body clients can read.
void expect_readable(const tenon::server::Response& refusal) {
  if (refusal.status < 400 || refusal.status > 599) std::abort();
  tenon::data::parse_json(refusal.body)
      .at("error", "$")
      .at("message", "error")
      .as_string("message");
}

// What passed can be read in one way only: lines end in CR LF, and nothing else is a control
// character but a tab.
void expect_plain(std::string_view head) {
  head = head.substr(0, head.find("\r\n\r\n"));
  for (size_t i = 0; i < head.size(); ++i) {
    auto c = static_cast<unsigned char>(head[i]);
    bool line_end = (c == '\r' && i + 1 < head.size() && head[i + 1] == '\n') ||
                    (c == '\n' && i > 0 && head[i - 1] == '\r');
    if ((c < ' ' && c != '\t' && !line_end) || c == 127) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tenon;
  std::string_view text = fuzz::text_of(data, size);
  fuzz::refuse_or_accept([&] {
    auto refusal = server::check_head(text, {});
    if (refusal) expect_readable(*refusal);
    if (!refusal && text.find("\r\n\r\n") != text.npos) expect_plain(text);
    // Lines taken as headers, whatever they are.
    server::Request request;
    for (size_t at = 0; at < text.size();) {
      size_t end = std::min(text.find('\n', at), text.size()), colon = text.find(':', at);
      if (colon < end)
        request.headers.push_back({std::string(text.substr(at, colon - at)),
                                   std::string(text.substr(colon + 1, end - colon - 1))});
      at = end + 1;
    }
    for (bool loopback : {true, false}) {
      auto refused = server::check_headers(request, {.loopback_only = loopback});
      if (refused) expect_readable(*refused);
      if (!refused && server::content_length(request) < 0) std::abort();
    }
  });
  return 0;
}
