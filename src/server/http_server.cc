#include "server/http_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "server/http_head.h"

namespace tenon::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using Parser = http::request_parser<http::string_body>;
using Buffer = beast::flat_buffer;
using ErrorValue = boost::system::error_code;

auto await(ErrorValue& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::string_view text_of(const Buffer& buffer) {
  return {static_cast<const char*>(buffer.data().data()), buffer.size()};
}

// Behind the empty line that ends a head, or npos. A head with bare LFs ends, too, to be refused.
size_t head_end(std::string_view text) {
  size_t crlf = text.find("\r\n\r\n"), lf = text.find("\n\n");
  if (crlf == text.npos && lf == text.npos) return text.npos;
  return crlf < lf ? crlf + 4 : lf + 2;
}

Request to_request(const http::request_header<>& head) {
  Request request;
  request.method = std::string(head.method_string());
  std::string_view target(head.target().data(), head.target().size());
  size_t mark = target.find('?');
  request.path = target.substr(0, mark);
  if (mark != target.npos) request.query = target.substr(mark + 1);
  request.http_1_0 = head.version() == 10;
  for (const auto& field : head)
    request.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  return request;
}

}  // namespace

struct HttpState {
  HttpOptions options;
  Handler& handler;
  HostPolicy hosts;
  asio::io_context io{1};
  asio::thread_pool worker{1};
  tcp::acceptor acceptor{io};
  std::atomic<bool> stopping{false};
  std::atomic<int64_t> running{0}, waiting{0};
  int64_t connections = 0, body_bytes_held = 0;  // on the thread of the sockets only
  uint64_t requests = 0;

  HttpState(const HttpOptions& given, Handler& answering) : options(given), handler(answering) {}
};

namespace {

// Cancels what a socket waits for when its time is over; the socket stays open, so that the client
// can be told.
class Deadline {
 public:
  explicit Deadline(tcp::socket& socket)
      : timer_(socket.get_executor()), shared_(std::make_shared<Shared>(Shared{&socket})) {}
  ~Deadline() { shared_->socket = nullptr; }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // From now on; what ran before is called off.
  void allow(double seconds) {
    shared_->over = false;
    ++shared_->turn;
    timer_.expires_after(std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
    timer_.async_wait([shared = shared_, turn = shared_->turn](ErrorValue error) {
      // A handler that was queued before the next allow() is not meant any more.
      if (error || !shared->socket || shared->turn != turn) return;
      shared->over = true;
      shared->socket->cancel(error);
    });
  }
  void stop() {
    ++shared_->turn;
    timer_.cancel();
  }
  bool is_over() const { return shared_->over; }

 private:
  struct Shared {
    tcp::socket* socket;
    uint64_t turn = 0;
    bool over = false;
  };
  asio::steady_timer timer_;
  std::shared_ptr<Shared> shared_;
};

// What a connection's coroutine and its helpers share; lives in the coroutine's frame.
struct Connection {
  HttpState& state;
  tcp::socket socket;
  Deadline deadline{socket};
  Buffer buffer{static_cast<size_t>(64 << 10)};
  const HttpLimits& limits = state.options.limits;
};

// Counts for as long as it lives.
class Held {
 public:
  Held(int64_t& total, int64_t amount) : total_(total), amount_(amount) { total_ += amount_; }
  ~Held() { total_ -= amount_; }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  int64_t& total_;
  int64_t amount_;
};

template <class Body>
void set_head(http::response<Body>& message, const Response& response, uint64_t id) {
  message.set(http::field::content_type, response.type);
  message.set("X-Request-Id", std::to_string(id));
  message.set("X-Content-Type-Options", "nosniff");
  message.set(http::field::cache_control, "no-store");
  for (const Header& header : response.headers) message.set(header.name, header.value);
}

asio::awaitable<bool> write(Connection& connection, const Request& request, Response response,
                            bool keep, uint64_t id) {
  ErrorValue error;
  connection.deadline.allow(connection.limits.write_seconds);
  auto status = static_cast<http::status>(response.status);
  if (request.method == "HEAD" || response.status == 204) {
    http::response<http::empty_body> message(status, 11);
    set_head(message, response, id);
    if (response.status != 204) message.content_length(response.body.size());
    message.keep_alive(keep);
    co_await http::async_write(connection.socket, message, await(error));
  } else {
    http::response<http::string_body> message(status, 11, std::move(response.body));
    set_head(message, response, id);
    message.prepare_payload();
    message.keep_alive(keep);
    co_await http::async_write(connection.socket, message, await(error));
  }
  co_return keep && !error;
}

// A client that still sends would get a reset in place of the answer: what comes is read for a
// moment and thrown away.
asio::awaitable<void> hang_up(Connection& connection) {
  ErrorValue error;
  connection.socket.shutdown(tcp::socket::shutdown_send, error);
  connection.deadline.allow(2);
  char waste[4096];
  for (int64_t read = 0; !error && read < (64 << 20);)
    read += static_cast<int64_t>(
        co_await connection.socket.async_read_some(asio::buffer(waste), await(error)));
}

enum class HeadOutcome { Whole, Silent, Refused };

asio::awaitable<HeadOutcome> read_head(Connection& connection, std::optional<Response>& refusal) {
  ErrorValue error;
  connection.deadline.allow(connection.buffer.size() > 0 ? connection.limits.head_seconds
                                                         : connection.limits.idle_seconds);
  while (head_end(text_of(connection.buffer)) == std::string_view::npos) {
    if (static_cast<int64_t>(connection.buffer.size()) >= connection.limits.head_bytes) {
      refusal = error_response(431, "headers_too_large", "the request's head is too long");
      co_return HeadOutcome::Refused;
    }
    bool first = connection.buffer.size() == 0;
    size_t read =
        co_await connection.socket.async_read_some(connection.buffer.prepare(4096), await(error));
    connection.buffer.commit(read);
    if (error) {
      bool late = connection.deadline.is_over() && connection.buffer.size() > 0;
      if (!late) co_return HeadOutcome::Silent;
      refusal = error_response(408, "timeout", "the request's head did not end in time");
      co_return HeadOutcome::Refused;
    }
    if (first) connection.deadline.allow(connection.limits.head_seconds);
  }
  std::string_view text = text_of(connection.buffer);
  std::string_view head = text.substr(0, head_end(text));
  if (static_cast<int64_t>(head.size()) > connection.limits.head_bytes)
    refusal = error_response(431, "headers_too_large", "the request's head is too long");
  if (!refusal) refusal = check_head(head, connection.limits);
  co_return refusal ? HeadOutcome::Refused : HeadOutcome::Whole;
}

std::optional<Response> room_for_body(const Connection& connection, const Route& route,
                                      int64_t length) {
  if (length > route.most_body_bytes) {
    return error_response(413, "body_too_large",
                          "the body has " + std::to_string(length) + " bytes; accepted: at most " +
                              std::to_string(route.most_body_bytes));
  }
  if (connection.state.body_bytes_held + length <= connection.limits.body_bytes_held)
    return std::nullopt;
  Response busy = error_response(503, "busy", "too many bodies at once");
  busy.headers.push_back({"Retry-After", "1"});
  return busy;
}

asio::awaitable<std::optional<Response>> read_body(Connection& connection, Parser& parser,
                                                   Request& request, int64_t length) {
  ErrorValue error;
  const HttpLimits& limits = connection.limits;
  connection.deadline.allow(limits.body_seconds +
                            static_cast<double>(length) / limits.body_bytes_per_second);
  if (request.header("Expect") && length > 0) {
    http::response<http::empty_body> go_on(http::status::continue_, 11);
    co_await http::async_write(connection.socket, go_on, await(error));
  }
  if (!error) co_await http::async_read(connection.socket, connection.buffer, parser, await(error));
  if (!error) {
    request.body = std::move(parser.get().body());
    co_return std::nullopt;
  }
  if (connection.deadline.is_over())
    co_return error_response(408, "timeout", "the request's body did not end in time");
  co_return error_response(400, "bad_request", "the request's body is not whole");
}

// Seen from the worker, while the sockets' thread waits for it and reads nothing.
bool is_gone(int fd) {
  pollfd poll_fd{fd, POLLRDHUP, 0};
  return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

Response answer(HttpState& state, const Request& request, Abandoned abandoned, uint64_t id) {
  try {
    return state.handler.answer(request, abandoned);
  } catch (const Error& error) {
    bool theirs = error.code() == ErrorCode::BadInput || error.code() == ErrorCode::Usage ||
                  error.code() == ErrorCode::Unsupported;
    if (theirs) {
      return error_response(400, error_code_name(error.code()), error.what(), error.place());
    }
    log(LogLevel::Error, "request " + std::to_string(id) + ": " + error.what());
    bool passing = error.code() == ErrorCode::OutOfMemory || error.code() == ErrorCode::Interrupted;
    return error_response(passing ? 503 : 500, error_code_name(error.code()),
                          "request " + std::to_string(id) + " failed; the server's log says why");
  } catch (const std::exception& error) {
    log(LogLevel::Error, "request " + std::to_string(id) + ": " + error.what());
  }
  return error_response(500, "internal",
                        "request " + std::to_string(id) + " failed; the server's log says why");
}

// On the worker; the connection's coroutine waits for it.
asio::awaitable<Response> work(Connection& connection, const Request& request, uint64_t id,
                               double& waited) {
  HttpState& state = connection.state;
  auto begin = std::chrono::steady_clock::now();
  ++state.waiting;
  // Posted as a function, which cannot be suspended half way.
  auto run = [&]() -> asio::awaitable<Response> {
    waited = seconds_since(begin);
    --state.waiting;
    ++state.running;
    int fd = connection.socket.native_handle();
    auto abandoned = [&] { return state.stopping || is_gone(fd); };
    Response response = abandoned() ? error_response(503, "abandoned", "nobody waits for this")
                                    : answer(state, request, abandoned, id);
    --state.running;
    co_return response;
  };
  co_return co_await asio::co_spawn(state.worker, run, asio::use_awaitable);
}

asio::awaitable<Response> answer_request(Connection& connection, const Route& route,
                                         const Request& request, uint64_t id) {
  HttpState& state = connection.state;
  auto begin = std::chrono::steady_clock::now();
  double waited = 0;
  Response response;
  if (!route.is_work) {
    response = answer(
        state, request, [] { return false; }, id);
  } else if (state.waiting >= connection.limits.waiting) {
    response = error_response(429, "busy", "too many requests wait already");
    response.headers.push_back({"Retry-After", "1"});
  } else {
    connection.deadline.stop();
    response = co_await work(connection, request, id, waited);
  }
  double took = seconds_since(begin) - waited;
  state.handler.answered(request, response.status, waited, took);
  log_info(request.method + " " + request.path + " " + std::to_string(response.status) + " " +
           std::to_string(took) + " s, request " + std::to_string(id));
  co_return response;
}

// One request of a connection; whether another may follow.
asio::awaitable<bool> serve_request(Connection& connection) {
  HttpState& state = connection.state;
  Request request;
  std::optional<Response> refusal;
  HeadOutcome outcome = co_await read_head(connection, refusal);
  if (outcome == HeadOutcome::Silent) co_return false;
  uint64_t id = ++state.requests;
  Parser parser;
  parser.header_limit(static_cast<uint32_t>(connection.limits.head_bytes));
  parser.body_limit(boost::none);
  if (!refusal) {
    ErrorValue error;
    co_await http::async_read_header(connection.socket, connection.buffer, parser, await(error));
    if (error)
      refusal = error_response(400, "bad_request", "the request's head: " + error.message());
  }
  Route route;
  if (!refusal) {
    request = to_request(parser.get());
    refusal = check_headers(request, state.hosts);
    if (!refusal) refusal = state.options.api_key.check(request);
  }
  if (!refusal) {
    auto found = state.handler.route(request);
    if (auto* response = std::get_if<Response>(&found))
      refusal = std::move(*response);
    else
      route = std::get<Route>(found);
  }
  int64_t length = refusal ? 0 : content_length(request);
  if (!refusal) refusal = room_for_body(connection, route, length);
  Held held(state.body_bytes_held, length);
  if (!refusal) refusal = co_await read_body(connection, parser, request, length);
  if (refusal) {
    state.handler.answered(request, refusal->status, 0, 0);
    co_await write(connection, request, std::move(*refusal), false, id);
    co_await hang_up(connection);
    co_return false;
  }
  bool keep = parser.get().keep_alive() && !state.stopping;
  Response response = co_await answer_request(connection, route, request, id);
  co_return co_await write(connection, request, std::move(response), keep, id);
}

asio::awaitable<void> serve_connection(HttpState& state, tcp::socket socket) {
  Held held(state.connections, 1);
  Connection connection{state, std::move(socket)};
  ErrorValue ignored;
  connection.socket.set_option(tcp::no_delay(true), ignored);
  while (co_await serve_request(connection)) {
  }
  connection.socket.shutdown(tcp::socket::shutdown_both, ignored);
}

// More connections than are served: told so in one piece that fits a socket's buffer.
void refuse_connection(tcp::socket socket) {
  ErrorValue ignored;
  std::string body = error_response(503, "busy", "too many connections").body;
  std::string text =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
      "Connection: close\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(text), ignored);
  socket.shutdown(tcp::socket::shutdown_send, ignored);
  // What is unread at the end becomes a reset, which could overtake the answer.
  char waste[4096];
  ErrorValue error;
  for (int i = 0; i < 16 && !error; ++i) socket.read_some(asio::buffer(waste), error);
}

asio::awaitable<void> accept_connections(HttpState& state) {
  asio::steady_timer pause(state.io);
  while (!state.stopping) {
    ErrorValue error;
    tcp::socket socket = co_await state.acceptor.async_accept(await(error));
    if (error) {
      // Out of file descriptors, most likely: those of connections that end come back.
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(await(error));
    } else if (state.connections >= state.options.limits.connections) {
      refuse_connection(std::move(socket));
    } else {
      asio::co_spawn(state.io, serve_connection(state, std::move(socket)), asio::detached);
    }
  }
}

asio::awaitable<void> wait_for_stop(HttpState& state, int stop_fd) {
  asio::posix::stream_descriptor stop(state.io, dup(stop_fd));
  ErrorValue error;
  co_await stop.async_wait(asio::posix::stream_descriptor::wait_read, await(error));
  state.stopping = true;
  state.io.stop();
}

void listen(HttpState& state) {
  ErrorValue error;
  auto address = asio::ip::make_address(state.options.address, error);
  if (error) {
    throw Error(ErrorCode::Usage, "not an address of this machine")
        .got(state.options.address)
        .accepted("127.0.0.1, ::1, 0.0.0.0, ::, or the number of one of its networks");
  }
  state.hosts.loopback_only = address.is_loopback();
  tcp::endpoint endpoint(address, state.options.port);
  state.acceptor.open(endpoint.protocol(), error);
  if (!error) state.acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) state.acceptor.bind(endpoint, error);
  if (!error) state.acceptor.listen(1024, error);
  if (!error) return;
  throw Error(ErrorCode::Io, "cannot listen: " + error.message())
      .at(state.options.address + ":" + std::to_string(state.options.port))
      .fix("choose another --port; 0 takes one that is free");
}

}  // namespace

HttpServer::HttpServer(const HttpOptions& options, Handler& handler)
    : state_(std::make_unique<HttpState>(options, handler)) {
  listen(*state_);
}

HttpServer::~HttpServer() = default;

uint16_t HttpServer::port() const {
  return state_->acceptor.local_endpoint().port();
}

std::string HttpServer::url() const {
  auto address = state_->acceptor.local_endpoint().address();
  std::string host = address.is_v6() ? "[" + address.to_string() + "]" : address.to_string();
  return "http://" + host + ":" + std::to_string(port());
}

bool HttpServer::is_loopback() const {
  return state_->hosts.loopback_only;
}

int64_t HttpServer::running() const {
  return state_->running;
}

int64_t HttpServer::waiting() const {
  return state_->waiting;
}

void HttpServer::run(int stop_fd) {
  asio::co_spawn(state_->io, wait_for_stop(*state_, stop_fd), asio::detached);
  asio::co_spawn(state_->io, accept_connections(*state_), asio::detached);
  state_->io.run();
  // The worker's last request sees that it is abandoned; its connection lives until then.
  state_->worker.join();
}

}  // namespace tenon::server
