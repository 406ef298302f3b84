#include "server/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "base/error.h"
#include "base/log.h"

namespace tenon::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// /quick answers at once, /slow waits until it is released or nobody waits for it any more.
class TestHandler : public Handler {
 public:
  std::variant<Route, Response> route(const Request& request) override {
    if (request.path == "/none") return error_response(404, "not_found", "no such path");
    return Route{100, request.path != "/quick"};
  }
  Response answer(const Request& request, Abandoned abandoned) override {
    if (request.path == "/bug") throw std::runtime_error("secret of the machine room");
    if (request.path == "/theirs")
      throw Error(ErrorCode::BadInput, "no picture").at("body").got("nothing");
    if (request.path == "/memory") throw Error(ErrorCode::OutOfMemory, "secret of the memory");
    if (request.path == "/large") return {200, "text/plain", std::string(64 << 20, 'x'), {}};
    if (request.path == "/slow") {
      ++slow_begun;
      while (!released && !abandoned()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      slow_abandoned += abandoned();
    }
    return {200, "text/plain", request.path + request.body, {}};
  }
  void answered(const Request&, int status, double, double) override { last_status = status; }

  std::atomic<bool> released{false};
  std::atomic<int> slow_begun{0}, slow_abandoned{0}, last_status{0};
};

class HttpServerTest : public ::testing::Test {
 protected:
  void start(HttpLimits limits = {}) {
    set_log_level(LogLevel::Off);
    server_ = std::make_unique<HttpServer>(HttpOptions{"127.0.0.1", 0, limits, {}}, handler_);
    thread_ = std::thread([this] { server_->run(stop_); });
  }
  void TearDown() override {
    uint64_t one = 1;
    EXPECT_EQ(write(stop_, &one, sizeof one), 8);
    if (thread_.joinable()) thread_.join();
    close(stop_);
  }

  int connect() {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static void send(int fd, const std::string& text) {
    EXPECT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  // Until the server closes.
  static std::string receive(int fd) {
    std::string text;
    char piece[4096];
    for (ssize_t n; (n = recv(fd, piece, sizeof piece, 0)) > 0;) text.append(piece, n);
    close(fd);
    return text;
  }
  static std::string request(const std::string& path, const std::string& body = "") {
    return "POST " + path +
           " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  std::string ask(const std::string& path, const std::string& body = "") {
    int fd = connect();
    send(fd, request(path, body));
    return receive(fd);
  }
  template <class Condition>
  static bool eventually(Condition condition) {
    for (int i = 0; i < 2000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  TestHandler handler_;
  int stop_ = eventfd(0, EFD_CLOEXEC);
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

TEST_F(HttpServerTest, AnswersQuickRequestsAndWork) {
  start();
  EXPECT_THAT(ask("/quick", "ab"), HasSubstr("\r\n\r\n/quickab"));
  handler_.released = true;
  EXPECT_THAT(ask("/slow", "cd"), HasSubstr("\r\n\r\n/slowcd"));
  EXPECT_THAT(ask("/none"), HasSubstr("HTTP/1.1 404"));
  EXPECT_THAT(ask("/quick", std::string(101, 'x')), HasSubstr("HTTP/1.1 413"));
  EXPECT_THAT(ask("/quick", std::string(100, 'x')), HasSubstr("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, FailuresTellClientsWhatIsTheirs) {
  start();
  std::string bug = ask("/bug"), memory = ask("/memory"), theirs = ask("/theirs");
  EXPECT_THAT(bug, HasSubstr("HTTP/1.1 500"));
  EXPECT_THAT(bug, Not(HasSubstr("secret")));
  EXPECT_THAT(bug, HasSubstr("request 1 failed"));
  EXPECT_THAT(memory, HasSubstr("HTTP/1.1 503"));
  EXPECT_THAT(memory, Not(HasSubstr("secret")));
  EXPECT_THAT(theirs, HasSubstr("HTTP/1.1 400"));
  EXPECT_THAT(theirs, HasSubstr("body: no picture; got nothing"));
  EXPECT_THAT(ask("/quick"), HasSubstr("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, AFullLineIsRefusedAndTheRestIsServed) {
  HttpLimits limits;
  limits.waiting = 2;
  start(limits);
  std::vector<int> clients = {connect()};
  send(clients[0], request("/slow"));
  ASSERT_TRUE(eventually([&] { return handler_.slow_begun == 1; }));
  for (int i = 1; i < 3; ++i) {
    clients.push_back(connect());
    send(clients.back(), request("/slow"));
    ASSERT_TRUE(eventually([&] { return server_->waiting() == i; }));
  }
  EXPECT_THAT(ask("/slow"), HasSubstr("HTTP/1.1 429"));
  EXPECT_THAT(ask("/slow"), HasSubstr("Retry-After: 1"));
  EXPECT_THAT(ask("/quick"), HasSubstr("HTTP/1.1 200"));
  EXPECT_EQ(server_->running(), 1);
  handler_.released = true;
  for (int client : clients) EXPECT_THAT(receive(client), HasSubstr("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, WorkNobodyWaitsForEnds) {
  start();
  for (int how : {SHUT_WR, SHUT_RDWR}) {
    int before = handler_.slow_abandoned;
    int client = connect();
    send(client, request("/slow"));
    ASSERT_TRUE(eventually([&] { return handler_.slow_begun > before; }));
    shutdown(client, how);
    EXPECT_TRUE(eventually([&] { return handler_.slow_abandoned == before + 1; }));
    close(client);
  }
}

TEST_F(HttpServerTest, TimesAreBounded) {
  HttpLimits limits;
  limits.head_seconds = limits.body_seconds = limits.idle_seconds = limits.write_seconds = 0.2;
  start(limits);
  int head = connect(), body = connect(), idle = connect(), deaf = connect();
  send(head, "GET /qui");
  send(body, "POST /quick HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab");
  send(deaf, request("/large"));
  EXPECT_THAT(receive(head), HasSubstr("HTTP/1.1 408"));
  EXPECT_THAT(receive(body), HasSubstr("HTTP/1.1 408"));
  EXPECT_EQ(receive(idle), "");
  // It reads nothing for as long as the server is patient, then finds less than was promised.
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_LT(receive(deaf).size(), size_t{64 << 20});
  EXPECT_THAT(ask("/quick"), HasSubstr("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, ConnectionsAndBodiesAreBounded) {
  HttpLimits limits;
  limits.connections = 2;
  limits.body_bytes_held = 150;
  start(limits);
  int first = connect();
  send(first, "POST /quick HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n");
  ASSERT_TRUE(eventually([&] {
    return ask("/quick", std::string(100, 'x')).find("HTTP/1.1 503") != std::string::npos;
  }));
  EXPECT_THAT(ask("/quick", "small"), HasSubstr("HTTP/1.1 200"));
  int second = connect();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_THAT(receive(connect()), HasSubstr("too many connections"));
  EXPECT_THAT(ask("/quick"), HasSubstr("too many connections"));
  close(second);
  close(first);
  EXPECT_TRUE(eventually([&] {
    return ask("/quick", std::string(100, 'x')).find("HTTP/1.1 200") != std::string::npos;
  }));
}

TEST_F(HttpServerTest, StoppingAbandonsWhatRuns) {
  start();
  int client = connect();
  send(client, request("/slow"));
  ASSERT_TRUE(eventually([&] { return handler_.slow_begun == 1; }));
  uint64_t one = 1;
  ASSERT_EQ(write(stop_, &one, sizeof one), 8);
  thread_.join();
  EXPECT_EQ(handler_.slow_abandoned, 1);
  close(client);
}

TEST(HttpServer, AddressesAreChecked) {
  TestHandler handler;
  EXPECT_THROW(HttpServer({"nowhere", 0, {}, {}}, handler), Error);
  HttpServer first({"127.0.0.1", 0, {}, {}}, handler);
  EXPECT_TRUE(first.is_loopback());
  EXPECT_EQ(first.url(), "http://127.0.0.1:" + std::to_string(first.port()));
  EXPECT_THROW(HttpServer({"127.0.0.1", first.port(), {}, {}}, handler), Error);
  EXPECT_FALSE(HttpServer({"0.0.0.0", 0, {}, {}}, handler).is_loopback());
}

}  // namespace
}  // namespace tenon::server
