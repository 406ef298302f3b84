#include "server/http_head.h"

#include <gtest/gtest.h>

namespace tenon::server {
namespace {

// The status of the refusal, 200 where there is none.
int status_of_head(const std::string& head) {
  auto refusal = check_head(head, {});
  return refusal ? refusal->status : 200;
}

int status_of_line(const std::string& line) {
  return status_of_head(line + "\r\nHost: localhost\r\n\r\n");
}

int status_of_header(const std::string& header) {
  return status_of_head("GET / HTTP/1.1\r\n" + header + "\r\n\r\n");
}

TEST(HttpHead, RequestLines) {
  EXPECT_EQ(status_of_line("GET / HTTP/1.1"), 200);
  EXPECT_EQ(status_of_line("GET /a?b=c%20d HTTP/1.0"), 200);
  for (const char* line : {"GET /", "GET", "", "GET  / HTTP/1.1", "GET /  HTTP/1.1",
                           "GET\t/\tHTTP/1.1", "get / HTTP/1.1", "GET http://localhost/ HTTP/1.1",
                           "GET * HTTP/1.1", "GET /\xc3\xa9 HTTP/1.1", "GET /#a HTTP/1.1",
                           "GET / http/1.1", "GET / HTTP/1.1 ", " GET / HTTP/1.1", "G3T / HTTP/1.1",
                           "GET /a\x7f HTTP/1.1", "VERYLONGMETHODNAMES / HTTP/1.1"}) {
    EXPECT_EQ(status_of_line(line), 400) << line;
  }
  EXPECT_EQ(status_of_line(std::string("GET /a\0b HTTP/1.1", 17)), 400);
  EXPECT_EQ(status_of_line("GET / HTTP/2.0"), 505);
  EXPECT_EQ(status_of_line("GET / HTTP/0.9"), 505);
  EXPECT_EQ(status_of_line("GET /" + std::string(8 << 10, 'a') + " HTTP/1.1"), 414);
}

TEST(HttpHead, HeaderLines) {
  EXPECT_EQ(status_of_header("Host: localhost"), 200);
  EXPECT_EQ(status_of_header("X-Note:\tblank and \xc3\xa9"), 200);
  for (const char* header :
       {"no colon", "Host : localhost", ": empty", "Host: a\r\n folded", "Host: a\r\n\tfolded",
        "A: b\nC: d", "A: b\rC: d", "A: \x01", "Bad Name: x", "\xc3\xa9: x"}) {
    EXPECT_EQ(status_of_header(header), 400) << header;
  }
  EXPECT_EQ(status_of_header(std::string("A: b\0c", 6)), 400);
  EXPECT_EQ(status_of_header("A: " + std::string(8 << 10, 'a')), 431);
  std::string many;
  for (int i = 0; i < 99; ++i) many += "A: b\r\n";
  EXPECT_EQ(status_of_header(many + "A: b"), 200);
  EXPECT_EQ(status_of_header(many + "A: b\r\nA: b"), 431);
}

int status_of(std::vector<Header> headers, bool loopback = true) {
  Request request{
      .method = "POST", .path = "/", .query = "", .headers = std::move(headers), .body = ""};
  auto refusal = check_headers(request, {.loopback_only = loopback});
  return refusal ? refusal->status : 200;
}

TEST(HttpHead, HostNamesThisServer) {
  for (const char* host : {"localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000"})
    EXPECT_EQ(status_of({{"host", host}}), 200) << host;
  EXPECT_EQ(status_of({{"Host", "example.org"}}), 403);
  EXPECT_EQ(status_of({{"Host", "localhost.example.org"}}), 403);
  EXPECT_EQ(status_of({{"Host", "example.org"}}, false), 200);
  for (const char* host : {"", "a/b", "a?b", "u@localhost", "a b"})
    EXPECT_EQ(status_of({{"Host", host}}, false), 400) << host;
  EXPECT_EQ(status_of({{"Host", std::string(1 << 20, 'a')}}, false), 400);
  EXPECT_EQ(status_of({}), 400);
  EXPECT_EQ(status_of({{"Host", "localhost"}, {"Host", "localhost"}}), 400);
}

TEST(HttpHead, OriginIsThisServer) {
  const Header host = {"Host", "localhost:8000"};
  EXPECT_EQ(status_of({host, {"Origin", "http://localhost:8000"}}), 200);
  for (const char* origin : {"null", "http://localhost:8001", "http://example.org", ""})
    EXPECT_EQ(status_of({host, {"Origin", origin}}), 403) << origin;
}

TEST(HttpHead, BodiesHaveOneLength) {
  const Header host = {"Host", "localhost"};
  EXPECT_EQ(status_of({host, {"Content-Length", "5"}}), 200);
  for (const char* length : {"-1", "+5", "5,5", "0x10", "18446744073709551616", "1e3", "", " 5"})
    EXPECT_EQ(status_of({host, {"Content-Length", length}}), 400) << length;
  EXPECT_EQ(status_of({host, {"Content-Length", "5"}, {"content-length", "5"}}), 400);
  EXPECT_EQ(status_of({host, {"Content-Length", "5"}, {"Transfer-Encoding", "chunked"}}), 400);
  for (const char* coding : {"chunked", "xchunked", "chunked, identity", "CHUNKED"})
    EXPECT_EQ(status_of({host, {"Transfer-Encoding", coding}}), 411) << coding;
  for (const char* coding : {"gzip", "br", "deflate", "gzip, gzip"})
    EXPECT_EQ(status_of({host, {"Content-Encoding", coding}}), 415) << coding;
  EXPECT_EQ(status_of({host, {"Content-Encoding", "identity"}}), 200);
  EXPECT_EQ(status_of({host, {"Expect", "100-continue"}}), 200);
  EXPECT_EQ(status_of({host, {"Expect", "a miracle"}}), 417);
}

}  // namespace
}  // namespace tenon::server
