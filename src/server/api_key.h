#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/http_types.h"

namespace tenon::server {

// Who may ask at all: whoever sends the key, as `Authorization: Bearer KEY` or as the password of
// `Authorization: Basic`, which browsers ask for when they are told 401. It holds for every path,
// also for those that do not exist.
class ApiKey {
 public:
  // Everybody may.
  ApiKey() = default;
  // Throws ErrorCode::Usage for a key that no header can carry, or one that is easily guessed: 16
  // to 512 printable ASCII characters without blanks are accepted.
  explicit ApiKey(std::string key);
  // The key is the first line of a file. Throws ErrorCode::Io as well.
  static ApiKey read(const std::string& path);

  bool is_set() const { return !key_.empty(); }
  // The answer to who has not sent it. How long it takes says nothing of the key.
  std::optional<Response> check(const Request& request) const;

 private:
  bool is_right(std::string_view authorization) const;

  std::string key_;
};

}  // namespace tenon::server
