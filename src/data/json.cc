#include "data/json.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace tenon::data {
namespace {

Error wrong_kind(std::string_view path, const Json& value, std::string_view wanted) {
  return Error(ErrorCode::BadInput, "value has the wrong kind")
      .at(path)
      .got(value.kind_name())
      .accepted(wanted);
}

// Feeds nlohmann's parser events to ours, counting depth. The parser itself does not recurse.
class SaxAdapter : public nlohmann::json_sax<nlohmann::json> {
 public:
  SaxAdapter(JsonEvents& events, int most_depth) : events_(events), most_depth_(most_depth) {}
  bool null() override { return events_.on_null(), true; }
  bool boolean(bool value) override { return events_.on_bool(value), true; }
  bool number_integer(number_integer_t value) override { return events_.on_int(value), true; }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<uint64_t>(INT64_MAX)) {
      events_.on_uint(value);
    } else {
      events_.on_int(static_cast<int64_t>(value));
    }
    return true;
  }
  bool number_float(number_float_t value, const string_t&) override {
    return events_.on_double(value), true;
  }
  bool string(string_t& value) override { return events_.on_string(value), true; }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return enter(), events_.on_object_begin(), true; }
  bool key(string_t& value) override { return events_.on_key(value), true; }
  bool end_object() override { return --depth_, events_.on_object_end(), true; }
  bool start_array(std::size_t) override { return enter(), events_.on_array_begin(), true; }
  bool end_array() override { return --depth_, events_.on_array_end(), true; }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    std::string reason = error.what();
    if (size_t at = reason.find("syntax error"); at != reason.npos) reason = reason.substr(at);
    throw Error(ErrorCode::BadInput, "not valid JSON: " + reason)
        .at("byte " + std::to_string(position));
  }

 private:
  void enter() {
    if (++depth_ > most_depth_) {
      throw Error(ErrorCode::BadInput, "JSON is nested too deep")
          .accepted("at most " + std::to_string(most_depth_) + " levels");
    }
  }
  JsonEvents& events_;
  int most_depth_, depth_ = 0;
};

class TreeBuilder : public JsonEvents {
 public:
  explicit TreeBuilder(const JsonOptions& options) : options_(options) {}
  void on_null() override { add(Json()); }
  void on_bool(bool value) override { add(Json(value)); }
  void on_int(int64_t value) override { add(Json(value)); }
  void on_uint(uint64_t value) override { add(Json(value)); }
  void on_double(double value) override { add(Json(value)); }
  void on_string(std::string& value) override { add(Json(std::move(value))); }
  void on_key(std::string& key) override {
    if (options_.duplicate_keys_are_errors && !stack_.back().keys.insert(key).second) {
      throw Error(ErrorCode::BadInput, "key appears twice in one object").got(key);
    }
    stack_.back().key = std::move(key);
  }
  void on_object_begin() override { stack_.push_back({true, {}, {}, {}, {}}); }
  void on_array_begin() override { stack_.push_back({false, {}, {}, {}, {}}); }
  void on_object_end() override {
    Json value(std::move(stack_.back().members));
    stack_.pop_back();
    add(std::move(value));
  }
  void on_array_end() override {
    Json value(std::move(stack_.back().items));
    stack_.pop_back();
    add(std::move(value));
  }
  Json take() { return std::move(root_); }

 private:
  struct Level {
    bool object;
    Json::Object members;
    Json::Array items;
    std::string key;
    std::unordered_set<std::string> keys;
  };
  void add(Json value) {
    if (stack_.empty()) {
      root_ = std::move(value);
    } else if (stack_.back().object) {
      stack_.back().members.emplace_back(std::move(stack_.back().key), std::move(value));
    } else {
      stack_.back().items.push_back(std::move(value));
    }
  }
  JsonOptions options_;
  std::vector<Level> stack_;
  Json root_;
};

void dump_string(std::string& out, std::string_view text) {
  out += '"';
  for (char c : text) {
    unsigned char byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      char buffer[8];
      std::snprintf(buffer, sizeof buffer, "\\u%04x", byte);
      out += buffer;
    } else {
      out += c;
    }
  }
  out += '"';
}

void newline(std::string& out, int indent, int depth) {
  if (indent == 0) return;
  out += '\n';
  out.append(static_cast<size_t>(indent) * depth, ' ');
}

void dump_value(std::string& out, const Json& value, int indent, int depth) {
  if (value.is_null()) {
    out += "null";
  } else if (value.is_bool()) {
    out += value.as_bool("") ? "true" : "false";
  } else if (value.is_int()) {
    out += std::to_string(value.as_int(""));
  } else if (value.is_number()) {
    double number = value.as_double("");
    std::string text = std::isfinite(number) ? format_double(number) : "null";
    // Keeps a whole double a double when it is read back.
    if (std::isfinite(number) && text.find_first_of(".eE") == text.npos) text += ".0";
    out += text;
  } else if (value.is_string()) {
    dump_string(out, value.as_string(""));
  } else if (value.is_array()) {
    const auto& items = value.as_array("");
    out += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += indent ? "," : ", ";
      newline(out, indent, depth + 1);
      dump_value(out, items[i], indent, depth + 1);
    }
    if (!items.empty()) newline(out, indent, depth);
    out += ']';
  } else {
    const auto& members = value.as_object("");
    out += '{';
    for (size_t i = 0; i < members.size(); ++i) {
      if (i > 0) out += indent ? "," : ", ";
      newline(out, indent, depth + 1);
      dump_string(out, members[i].first);
      out += ": ";
      dump_value(out, members[i].second, indent, depth + 1);
    }
    if (!members.empty()) newline(out, indent, depth);
    out += '}';
  }
}

}  // namespace

Json::Json(uint64_t value) {
  if (value > static_cast<uint64_t>(INT64_MAX)) {
    value_ = static_cast<double>(value);
  } else {
    value_ = static_cast<int64_t>(value);
  }
}

std::string_view Json::kind_name() const {
  static constexpr std::string_view kNames[] = {
      "null", "a boolean", "a whole number", "a number", "a string", "an array", "an object"};
  return kNames[value_.index()];
}

bool Json::as_bool(std::string_view path) const {
  if (!is_bool()) throw wrong_kind(path, *this, "true or false");
  return std::get<bool>(value_);
}

int64_t Json::as_int(std::string_view path) const {
  if (is_int()) return std::get<int64_t>(value_);
  if (is_number()) {
    double number = std::get<double>(value_);
    if (std::nearbyint(number) == number && std::fabs(number) < 9.0e15)
      return static_cast<int64_t>(number);
    throw Error(ErrorCode::BadInput, "number is not whole or too large")
        .at(path)
        .got(format_double(number));
  }
  throw wrong_kind(path, *this, "a whole number");
}

double Json::as_double(std::string_view path) const {
  if (is_int()) return static_cast<double>(std::get<int64_t>(value_));
  if (!is_number()) throw wrong_kind(path, *this, "a number");
  return std::get<double>(value_);
}

const std::string& Json::as_string(std::string_view path) const {
  if (!is_string()) throw wrong_kind(path, *this, "a string");
  return std::get<std::string>(value_);
}

const Json::Array& Json::as_array(std::string_view path) const {
  if (!is_array()) throw wrong_kind(path, *this, "an array");
  return std::get<Array>(value_);
}

const Json::Object& Json::as_object(std::string_view path) const {
  if (!is_object()) throw wrong_kind(path, *this, "an object");
  return std::get<Object>(value_);
}

const Json* Json::find(std::string_view key) const {
  const auto* members = std::get_if<Object>(&value_);
  if (!members) return nullptr;
  for (const Member& member : *members) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

const Json& Json::at(std::string_view key, std::string_view path) const {
  as_object(path);
  const Json* value = find(key);
  if (!value)
    throw Error(ErrorCode::BadInput, "field is missing")
        .at(std::string(path) + "." + std::string(key));
  return *value;
}

int64_t Json::get_int(std::string_view key, int64_t otherwise) const {
  const Json* value = find(key);
  return !value || value->is_null() ? otherwise : value->as_int(key);
}

double Json::get_double(std::string_view key, double otherwise) const {
  const Json* value = find(key);
  return !value || value->is_null() ? otherwise : value->as_double(key);
}

bool Json::get_bool(std::string_view key, bool otherwise) const {
  const Json* value = find(key);
  return !value || value->is_null() ? otherwise : value->as_bool(key);
}

std::string Json::get_string(std::string_view key, std::string_view otherwise) const {
  const Json* value = find(key);
  return !value || value->is_null() ? std::string(otherwise) : value->as_string(key);
}

Json& Json::set(std::string_view key, Json value) {
  if (is_null()) value_ = Object{};
  for (Member& member : std::get<Object>(value_)) {
    if (member.first == key) {
      member.second = std::move(value);
      return *this;
    }
  }
  std::get<Object>(value_).emplace_back(std::string(key), std::move(value));
  return *this;
}

void Json::push_back(Json value) {
  if (is_null()) value_ = Array{};
  std::get<Array>(value_).push_back(std::move(value));
}

std::string Json::dump(int indent) const {
  std::string out;
  dump_value(out, *this, indent, 0);
  return out;
}

void parse_json_events(std::string_view text, JsonEvents& events, int most_depth) {
  SaxAdapter adapter(events, most_depth);
  nlohmann::json::sax_parse(text.begin(), text.end(), &adapter);
}

Json parse_json(std::string_view text, const JsonOptions& options) {
  TreeBuilder builder(options);
  parse_json_events(text, builder, options.most_depth);
  return builder.take();
}

Json read_json_file(const std::string& path, int64_t most_bytes, const JsonOptions& options) {
  std::string text = read_text_file(path, most_bytes);
  try {
    return parse_json(text, options);
  } catch (Error& error) {
    error.within(path);
    throw;
  }
}

}  // namespace tenon::data
