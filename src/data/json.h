#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/variant.h"

namespace tenon::data {

// A JSON value. Objects keep the order of their file; numbers keep whether they were whole.
// Reading through as_*/at throws ErrorCode::BadInput naming the path of the value
// ("$.rope.factor").
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;
  Json(std::nullptr_t) {}                                   // NOLINT: implicit on purpose
  Json(bool value) : value_(value) {}                       // NOLINT
  Json(int value) : value_(static_cast<int64_t>(value)) {}  // NOLINT
  Json(int64_t value) : value_(value) {}                    // NOLINT
  Json(uint64_t value);                                     // NOLINT: above int64 becomes double
  Json(double value) : value_(value) {}                     // NOLINT
  Json(std::string value) : value_(std::move(value)) {}     // NOLINT
  Json(std::string_view value) : value_(std::string(value)) {}  // NOLINT
  Json(const char* value) : value_(std::string(value)) {}       // NOLINT
  Json(Array value) : value_(std::move(value)) {}               // NOLINT
  Json(Object value) : value_(std::move(value)) {}              // NOLINT
  static Json object() { return Json(Object{}); }
  static Json array() { return Json(Array{}); }

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<int64_t>(value_); }
  bool is_number() const { return is_int() || std::holds_alternative<double>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }
  std::string_view kind_name() const;

  // `path` names the value in the error.
  bool as_bool(std::string_view path) const;
  int64_t as_int(std::string_view path) const;  // whole numbers only; 3.0 is accepted
  double as_double(std::string_view path) const;
  const std::string& as_string(std::string_view path) const;
  const Array& as_array(std::string_view path) const;
  const Object& as_object(std::string_view path) const;

  // Member of an object, or nullptr where it is absent (or this is no object).
  const Json* find(std::string_view key) const;
  // Member of an object; throws where absent.
  const Json& at(std::string_view key, std::string_view path) const;
  // Member with a default where absent or null.
  int64_t get_int(std::string_view key, int64_t otherwise) const;
  double get_double(std::string_view key, double otherwise) const;
  bool get_bool(std::string_view key, bool otherwise) const;
  std::string get_string(std::string_view key, std::string_view otherwise) const;

  // Appends or replaces; this must be an object (null becomes one).
  Json& set(std::string_view key, Json value);
  void push_back(Json value);

  // One line, or indented by `indent` spaces. Doubles print shortest-exact; NaN and infinities as
  // null. Text is escaped so that the output is ASCII-safe JSON.
  std::string dump(int indent = 0) const;

  bool operator==(const Json&) const = default;

 private:
  Variant<std::monostate, bool, int64_t, double, std::string, Array, Object> value_;
};

struct JsonOptions {
  int most_depth = kLimits.json_depth;
  bool duplicate_keys_are_errors = true;
};

// Parses strict JSON (UTF-8, one value, nothing after it). Errors name the byte offset.
Json parse_json(std::string_view text, const JsonOptions& options = {});
// Reads and parses a file; errors name it.
Json read_json_file(const std::string& path, int64_t most_bytes = kLimits.json_bytes,
                    const JsonOptions& options = {});

// A streaming reader for texts too large for a tree. Each callback may throw tenon::Error.
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;
  virtual void on_null() = 0;
  virtual void on_bool(bool value) = 0;
  virtual void on_int(int64_t value) = 0;
  virtual void on_uint(uint64_t value) = 0;  // only values above INT64_MAX
  virtual void on_double(double value) = 0;
  virtual void on_string(std::string& value) = 0;
  virtual void on_key(std::string& key) = 0;
  virtual void on_object_begin() = 0;
  virtual void on_object_end() = 0;
  virtual void on_array_begin() = 0;
  virtual void on_array_end() = 0;
};
void parse_json_events(std::string_view text, JsonEvents& events,
                       int most_depth = kLimits.json_depth);

}  // namespace tenon::data
