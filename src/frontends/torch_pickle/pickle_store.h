#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::frontends {

// The kinds of values a checkpoint's pickle is made of. None of them has behaviour.
enum class PickleKind : uint8_t {
  None,
  Bool,
  Int,
  Float,
  Text,
  Bytes,
  Tuple,
  List,
  Set,
  Dict,
  OrderedDict,
  Global,   // an entry of the allow-list
  Storage,  // a record of the archive
  Tensor,
  Opaque,  // something harmless that nobody reads: a device, a number of numpy's
};
std::string_view pickle_kind_name(PickleKind kind);

// 16 bytes, so that the values a hostile pickle can ask for stay cheap.
struct PickleValue {
  PickleKind kind = PickleKind::None;
  uint32_t size = 0;   // Text, Bytes: bytes; Tuple: items
  int64_t number = 0;  // Int, Bool: the value; Text, Bytes: offset in the pickle; else an index
};
using PickleEntry = std::pair<PickleValue, PickleValue>;

// What the values of one pickle refer to. Texts stay in the pickle, which is borrowed. Counts every
// value that is kept and refuses to keep more than kLimits.pickle_values.
class PickleStore {
 public:
  explicit PickleStore(std::string_view pickle) : pickle_(pickle) {}

  std::string_view text(const PickleValue& value) const;                 // Text, Bytes
  std::span<const PickleValue> items(const PickleValue& value) const;    // Tuple, List, Set
  std::span<const PickleEntry> entries(const PickleValue& value) const;  // Dict, OrderedDict

  PickleValue make_tuple(std::span<const PickleValue> items);
  PickleValue make_list(PickleKind kind);  // List or Set
  PickleValue make_dict(PickleKind kind);  // Dict or OrderedDict
  // Throws ErrorCode::BadInput where the value has another kind.
  void append(const PickleValue& list, const PickleValue& item);
  void insert(const PickleValue& dict, const PickleValue& key, const PickleValue& value);

  // Accounts for values that others keep. Throws ErrorCode::BadInput over the limit.
  void keep(int64_t values);
  // Throws ErrorCode::BadInput where containers hold each other deeper than kLimits.pickle_depth,
  // or in a circle.
  void check_depth(const PickleValue& root) const;

 private:
  void check_depth(const PickleValue& value, int depth, int64_t& visited) const;

  std::string_view pickle_;
  int64_t kept_ = 0;
  std::vector<PickleValue> tuple_items_;
  std::vector<std::vector<PickleValue>> lists_;
  std::vector<std::vector<PickleEntry>> dicts_;
};

}  // namespace tenon::frontends
