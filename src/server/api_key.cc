#include "server/api_key.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "text/base64.h"

namespace tenon::server {
namespace {

constexpr size_t kShortest = 16, kLongest = 512;

// Looks at all of `got` whatever it finds.
bool are_equal(std::string_view got, std::string_view wanted) {
  unsigned difference = got.size() == wanted.size() ? 0 : 1;
  for (size_t i = 0; i < got.size(); ++i) {
    difference |=
        static_cast<unsigned char>(got[i]) ^ static_cast<unsigned char>(wanted[i % wanted.size()]);
  }
  return difference == 0;
}

// Behind "bearer " in upper or lower case, or nothing.
std::optional<std::string_view> behind(std::string_view scheme, std::string_view text) {
  if (text.size() <= scheme.size() || text[scheme.size()] != ' ') return std::nullopt;
  for (size_t i = 0; i < scheme.size(); ++i) {
    char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] - 'A' + 'a') : text[i];
    if (c != scheme[i]) return std::nullopt;
  }
  return text.substr(scheme.size() + 1);
}

}  // namespace

ApiKey::ApiKey(std::string key) : key_(std::move(key)) {
  bool plain = std::all_of(key_.begin(), key_.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (plain && key_.size() >= kShortest && key_.size() <= kLongest) return;
  throw Error(ErrorCode::Usage, "this cannot be the key of a server")
      .got(plain ? std::to_string(key_.size()) + " characters" : "blanks or other characters in it")
      .accepted("16 to 512 printable ASCII characters without blanks")
      .fix("openssl rand -hex 32 > FILE");
}

ApiKey ApiKey::read(const std::string& path) {
  std::string text = read_text_file(path, 4096);
  try {
    return ApiKey(text.substr(0, text.find_first_of("\r\n")));
  } catch (Error& error) {
    throw error.at(path);
  }
}

std::optional<Response> ApiKey::check(const Request& request) const {
  if (!is_set()) return std::nullopt;
  const std::string* authorization = request.header("Authorization");
  // Of two, one proxy would see the first and the next one the last.
  bool one = request.count_headers("Authorization") == 1;
  if (one && is_right(*authorization)) return std::nullopt;
  Response refusal = error_response(401, "unauthorized",
                                    "this server wants its key: Authorization: Bearer KEY, or as "
                                    "the password of Basic");
  refusal.headers.push_back({"WWW-Authenticate", "Basic realm=\"Tenon\", charset=\"UTF-8\""});
  return refusal;
}

bool ApiKey::is_right(std::string_view authorization) const {
  if (auto key = behind("bearer", authorization)) return are_equal(*key, key_);
  auto basic = behind("basic", authorization);
  if (!basic) return false;
  auto user_and_key = text::decode_base64(*basic);
  size_t colon = user_and_key ? user_and_key->find(':') : std::string::npos;
  if (colon == std::string::npos) return false;
  return are_equal(std::string_view(*user_and_key).substr(colon + 1), key_);
}

}  // namespace tenon::server
