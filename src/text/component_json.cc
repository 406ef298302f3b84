#include "text/component_json.h"

#include "base/text.h"
#include "text/unicode.h"

namespace tenon::text {
namespace {

std::string joined_place(const std::string& place, std::string_view key) {
  return place.empty() ? std::string(key) : place + "." + std::string(key);
}

}  // namespace

Component Component::member(std::string_view key) const {
  json.as_object(place);
  const data::Json* value = json.find(key);
  if (!value) throw Error(ErrorCode::BadInput, "field is missing").at(joined_place(place, key));
  return {*value, joined_place(place, key), depth};
}

Component Component::item(size_t index) const {
  return {json.as_array(place).at(index), place + "[" + std::to_string(index) + "]", depth + 1};
}

std::vector<Component> Component::sequence(std::string_view key) const {
  constexpr size_t kMostParts = 64;
  constexpr int kMostDepth = 3;
  Component list = member(key);
  if (list.size() > kMostParts || depth >= kMostDepth) {
    throw Error(ErrorCode::BadInput, "sequence is too long or nested too deep")
        .at(list.place)
        .got(std::to_string(list.size()) + " parts at depth " + std::to_string(depth))
        .accepted("at most 64 parts, at most 3 deep");
  }
  std::vector<Component> parts;
  for (size_t i = 0; i < list.size(); ++i) parts.push_back(list.item(i));
  return parts;
}

size_t Component::size() const {
  return json.as_array(place).size();
}

bool Component::has(std::string_view key) const {
  json.as_object(place);
  const data::Json* value = json.find(key);
  return value && !value->is_null();
}

std::string Component::text(std::string_view key) const {
  Component value = member(key);
  return value.json.as_string(value.place);
}

std::string Component::text(std::string_view key, std::string_view otherwise) const {
  return has(key) ? text(key) : std::string(otherwise);
}

bool Component::flag(std::string_view key, bool otherwise) const {
  if (!has(key)) return otherwise;
  Component value = member(key);
  return value.json.as_bool(value.place);
}

int64_t Component::number(std::string_view key, int64_t lowest, int64_t highest) const {
  Component value = member(key);
  int64_t number = value.json.as_int(value.place);
  if (number < lowest || number > highest) {
    throw Error(ErrorCode::BadInput, "number out of range")
        .at(value.place)
        .got(std::to_string(number))
        .accepted(std::to_string(lowest) + " to " + std::to_string(highest));
  }
  return number;
}

int32_t Component::character(std::string_view key) const {
  std::string value = text(key);
  size_t at = 0;
  CodePoint c = value.empty() ? 0 : next_char(value, at);
  if (value.empty() || at != value.size()) {
    throw Error(ErrorCode::BadInput, "not one character").at(joined_place(place, key)).got(value);
  }
  return c;
}

int32_t Component::token_id() const {
  int64_t id = json.as_int(place);
  if (id < 0 || id > kMostTokenId) {
    throw Error(ErrorCode::BadInput, "token id out of range")
        .at(place)
        .got(std::to_string(id))
        .accepted("0 to " + std::to_string(kMostTokenId));
  }
  return static_cast<int32_t>(id);
}

Error unsupported_component(const Component& component, std::string_view kind,
                            std::string_view accepted) {
  return Error(ErrorCode::Unsupported, "this " + std::string(kind) + " is not supported")
      .at(joined_place(component.place, "type"))
      .got(component.text("type", "none"))
      .accepted(accepted);
}

void ProblemList::add(Error error) {
  if (problems_.size() < kMost) {
    problems_.add(std::move(error));
  } else {
    ++left_out_;
  }
}

void ProblemList::move_to(ProblemList& other) {
  for (const Error& error : problems_.errors()) other.add(error);
  other.left_out_ += left_out_;
  problems_ = Problems();
  left_out_ = 0;
}

void ProblemList::throw_if_any() {
  if (left_out_ > 0) {
    problems_.add(Error(ErrorCode::BadInput, std::to_string(left_out_) + " further problems"));
    left_out_ = 0;
  }
  problems_.throw_if_any();
}

}  // namespace tenon::text
