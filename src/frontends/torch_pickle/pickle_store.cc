#include "frontends/torch_pickle/pickle_store.h"

#include <string>

#include "base/error.h"
#include "base/limits.h"

namespace tenon::frontends {

std::string_view pickle_kind_name(PickleKind kind) {
  constexpr std::string_view kNames[] = {
      "None",      "a bool",   "a whole number",  "a float", "text",           "bytes",
      "a tuple",   "a list",   "a set",           "a dict",  "an OrderedDict", "a function or type",
      "a storage", "a tensor", "an opaque object"};
  return kNames[static_cast<int>(kind)];
}

namespace {

Error wrong_kind(std::string_view action, const PickleValue& value, std::string_view accepted) {
  return Error(ErrorCode::BadInput, action).got(pickle_kind_name(value.kind)).accepted(accepted);
}

bool is_key(const PickleValue& value) {
  switch (value.kind) {
    case PickleKind::None:
    case PickleKind::Bool:
    case PickleKind::Int:
    case PickleKind::Float:
    case PickleKind::Text:
    case PickleKind::Bytes:
    case PickleKind::Tuple:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string_view PickleStore::text(const PickleValue& value) const {
  TENON_CHECK(value.kind == PickleKind::Text || value.kind == PickleKind::Bytes);
  return pickle_.substr(static_cast<size_t>(value.number), value.size);
}

std::span<const PickleValue> PickleStore::items(const PickleValue& value) const {
  if (value.kind == PickleKind::Tuple) {
    return std::span(tuple_items_).subspan(static_cast<size_t>(value.number), value.size);
  }
  TENON_CHECK(value.kind == PickleKind::List || value.kind == PickleKind::Set);
  return lists_.at(static_cast<size_t>(value.number));
}

std::span<const PickleEntry> PickleStore::entries(const PickleValue& value) const {
  TENON_CHECK(value.kind == PickleKind::Dict || value.kind == PickleKind::OrderedDict);
  return dicts_.at(static_cast<size_t>(value.number));
}

PickleValue PickleStore::make_tuple(std::span<const PickleValue> items) {
  keep(static_cast<int64_t>(items.size()));
  PickleValue made{PickleKind::Tuple, static_cast<uint32_t>(items.size()),
                   static_cast<int64_t>(tuple_items_.size())};
  tuple_items_.insert(tuple_items_.end(), items.begin(), items.end());
  return made;
}

PickleValue PickleStore::make_list(PickleKind kind) {
  keep(4);  // an empty container costs more than a value
  lists_.emplace_back();
  return {kind, 0, static_cast<int64_t>(lists_.size()) - 1};
}

PickleValue PickleStore::make_dict(PickleKind kind) {
  keep(4);
  dicts_.emplace_back();
  return {kind, 0, static_cast<int64_t>(dicts_.size()) - 1};
}

void PickleStore::append(const PickleValue& list, const PickleValue& item) {
  if (list.kind != PickleKind::List && list.kind != PickleKind::Set) {
    throw wrong_kind("items are added to what holds none", list, "a list or a set");
  }
  keep(1);
  lists_[static_cast<size_t>(list.number)].push_back(item);
}

void PickleStore::insert(const PickleValue& dict, const PickleValue& key,
                         const PickleValue& value) {
  if (dict.kind != PickleKind::Dict && dict.kind != PickleKind::OrderedDict) {
    throw wrong_kind("entries are set in what holds none", dict, "a dict");
  }
  if (!is_key(key)) throw wrong_kind("key of a dict", key, "text, a number or a tuple");
  keep(2);
  dicts_[static_cast<size_t>(dict.number)].emplace_back(key, value);
}

void PickleStore::keep(int64_t values) {
  kept_ += values;
  if (kept_ <= kLimits.pickle_values) return;
  throw Error(ErrorCode::BadInput, "the pickle makes too many values")
      .accepted("at most " + std::to_string(kLimits.pickle_values));
}

void PickleStore::check_depth(const PickleValue& root) const {
  int64_t visited = 0;
  check_depth(root, 0, visited);
}

void PickleStore::check_depth(const PickleValue& value, int depth, int64_t& visited) const {
  // Containers may be shared, so there can be many more ways to a value than values.
  bool deep = depth > kLimits.pickle_depth;
  if (deep || ++visited > 4 * kLimits.pickle_values) {
    throw Error(ErrorCode::BadInput, "containers are nested too deep, or hold themselves")
        .accepted("at most " + std::to_string(kLimits.pickle_depth) + " levels");
  }
  switch (value.kind) {
    case PickleKind::Tuple:
    case PickleKind::List:
    case PickleKind::Set:
      for (const PickleValue& item : items(value)) check_depth(item, depth + 1, visited);
      return;
    case PickleKind::Dict:
    case PickleKind::OrderedDict:
      for (const auto& [key, item] : entries(value)) {
        check_depth(key, depth + 1, visited);
        check_depth(item, depth + 1, visited);
      }
      return;
    default:
      return;
  }
}

}  // namespace tenon::frontends
