#include "frontends/torch_pickle/pickle_machine.h"

#include <bit>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/byte_reader.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/number.h"
#include "frontends/torch_pickle/pickle_ops.h"

namespace tenon::frontends {
namespace {

Error bad(std::string_view problem) {
  return Error(ErrorCode::BadInput, problem);
}

PickleValue whole(int64_t value) {
  return {PickleKind::Int, 0, value};
}

// The stack. What lies below the newest mark is out of reach.
class PickleStack {
 public:
  explicit PickleStack(PickleStore& store) : store_(store) {}

  void push(const PickleValue& value) {
    if (values_.size() == most_) {
      store_.keep(1);
      ++most_;
    }
    values_.push_back(value);
  }
  const PickleValue& top() const {
    if (values_.size() <= floor()) throw bad("stack underflow");
    return values_.back();
  }
  PickleValue pop() {
    PickleValue value = top();
    values_.pop_back();
    return value;
  }
  std::span<const PickleValue> last(size_t count) const {
    if (values_.size() - floor() < count) throw bad("stack underflow");
    return std::span(values_).last(count);
  }
  void drop(size_t count) { values_.resize(values_.size() - count); }

  void push_mark() {
    store_.keep(1);
    marks_.push_back(values_.size());
  }
  // The values above the newest mark, which goes; valid until the next call.
  std::span<const PickleValue> pop_to_mark() {
    if (marks_.empty()) throw bad("no mark on the stack");
    size_t begin = floor();
    marks_.pop_back();
    popped_.assign(values_.begin() + static_cast<ptrdiff_t>(begin), values_.end());
    values_.resize(begin);
    return popped_;
  }
  bool has_mark_on_top() const { return !marks_.empty() && marks_.back() == values_.size(); }
  bool empty() const { return values_.empty() && marks_.empty(); }

 private:
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  PickleStore& store_;
  std::vector<PickleValue> values_, popped_;
  std::vector<size_t> marks_;
  size_t most_ = 0;
};

// Values that opcodes come back to by number.
class PickleMemo {
 public:
  explicit PickleMemo(PickleStore& store) : store_(store) {}

  uint64_t size() const { return dense_.size() + sparse_.size(); }
  void put(uint64_t index, const PickleValue& value) {
    if (index < dense_.size()) {
      dense_[index] = value;
    } else if (index == dense_.size() && sparse_.empty()) {
      store_.keep(1);
      dense_.push_back(value);
    } else if (sparse_.insert_or_assign(index, value).second) {
      // Python numbers its memo from 0; the map keeps one wild index from costing its number.
      store_.keep(4);
    }
  }
  const PickleValue& get(uint64_t index) const {
    if (index < dense_.size()) return dense_[index];
    auto found = sparse_.find(index);
    if (found == sparse_.end()) {
      throw bad("memo entry was never set").got(std::to_string(index));
    }
    return found->second;
  }

 private:
  PickleStore& store_;
  std::vector<PickleValue> dense_;
  std::unordered_map<uint64_t, PickleValue> sparse_;
};

class Machine {
 public:
  Machine(std::string_view pickle, PickleStore& store, PickleObjects& objects)
      : reader_(std::as_bytes(std::span(pickle.data(), pickle.size()))),
        store_(store),
        objects_(objects),
        stack_(store),
        memo_(store) {}

  PickleResult run() {
    for (;;) {
      int64_t at = reader_.at();
      uint8_t op = 0;
      try {
        op = reader_.u8();
        if (op == kOpStop) return finish();
        bool known = step_literal(op) || step_container(op) || step_stack(op) || step_object(op);
        if (!known) {
          throw bad("opcode that no PyTorch checkpoint needs")
              .accepted("those that build data, tensors and listed types");
        }
      } catch (Error& error) {
        error.within("byte " + std::to_string(at) + (op ? ", " + pickle_op_name(op) : ""));
        throw;
      }
    }
  }

 private:
  PickleResult finish() {
    PickleValue root = stack_.pop();
    if (!stack_.empty()) throw bad("the pickle ends with values or marks left over");
    store_.check_depth(root);
    return {root, reader_.left()};
  }

  bool step_literal(uint8_t op);
  bool step_container(uint8_t op);
  bool step_stack(uint8_t op);
  bool step_object(uint8_t op);

  void push_text(PickleKind kind, uint64_t bytes) {
    int64_t offset = reader_.at();
    uint32_t size = static_cast<uint32_t>(reader_.text(bytes).size());
    stack_.push({kind, size, offset});
  }
  void push_long(uint64_t bytes);
  void push_number_line(uint8_t op);
  void push_unicode_line();
  void push_tuple(size_t count) {
    PickleValue made = store_.make_tuple(stack_.last(count));
    stack_.drop(count);
    stack_.push(made);
  }
  void set_all(std::span<const PickleValue> items, const PickleValue& dict) {
    if (items.size() % 2 != 0) throw bad("a key without a value");
    for (size_t i = 0; i < items.size(); i += 2) store_.insert(dict, items[i], items[i + 1]);
  }
  void append_all(std::span<const PickleValue> items, const PickleValue& list) {
    for (const PickleValue& item : items) store_.append(list, item);
  }
  uint64_t index_line() {
    std::string_view line = reader_.line();
    std::optional<uint64_t> index = parse_number<uint64_t>(line);
    if (!index) throw bad("not a number").got(line);
    return *index;
  }
  std::string_view pop_name() {
    PickleValue value = stack_.pop();
    if (value.kind == PickleKind::Text) return store_.text(value);
    throw bad("name of a global").got(pickle_kind_name(value.kind)).accepted("text");
  }
  void call() {
    PickleValue arguments = stack_.pop(), callee = stack_.pop();
    if (callee.kind != PickleKind::Global) {
      throw bad("call of what is no function").got(pickle_kind_name(callee.kind));
    }
    if (arguments.kind != PickleKind::Tuple) {
      throw bad("arguments of a call").got(pickle_kind_name(arguments.kind)).accepted("a tuple");
    }
    stack_.push(objects_.call(callee, store_.items(arguments)));
  }

  ByteReader reader_;
  PickleStore& store_;
  PickleObjects& objects_;
  PickleStack stack_;
  PickleMemo memo_;
};

// Two's complement, little-endian.
void Machine::push_long(uint64_t bytes) {
  constexpr uint64_t kMostBytes = 16;
  if (bytes > kMostBytes) {
    throw bad("whole number is too long")
        .got(std::to_string(bytes) + " bytes")
        .accepted("at most " + std::to_string(kMostBytes));
  }
  std::string_view digits = reader_.text(bytes);
  // A seed of a random generator is longer than any number that is read here.
  if (bytes > 8) return stack_.push({PickleKind::Opaque, 0, 0});
  uint64_t value = bytes > 0 && (digits.back() & 0x80) ? ~0ull : 0;
  for (size_t i = digits.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(digits[i]);
  stack_.push(whole(static_cast<int64_t>(value)));
}

// INT, LONG and FLOAT of the older protocols.
void Machine::push_number_line(uint8_t op) {
  std::string_view line = reader_.line();
  if (op == kOpInt && (line == "00" || line == "01")) {
    return stack_.push({PickleKind::Bool, 0, line == "01"});
  }
  if (op == kOpFloat) {
    std::optional<double> value = parse_number<double>(line);
    if (!value) throw bad("not a number").got(line);
    return stack_.push({PickleKind::Float, 0, std::bit_cast<int64_t>(*value)});
  }
  if (op == kOpLong && line.ends_with('L')) line.remove_suffix(1);
  std::optional<int64_t> value = parse_number<int64_t>(line);
  if (!value) throw bad("not a whole number of 64 bits").got(line);
  stack_.push(whole(*value));
}

// Protocol 0's text. Escapes would need a copy of it, and torch.save never writes this protocol.
void Machine::push_unicode_line() {
  int64_t offset = reader_.at();
  std::string_view line = reader_.line();
  if (line.find('\\') != line.npos) throw bad("text with escapes").accepted("protocol 2 or newer");
  stack_.push({PickleKind::Text, static_cast<uint32_t>(line.size()), offset});
}

bool Machine::step_literal(uint8_t op) {
  switch (op) {
    case kOpNone:
      return stack_.push({}), true;
    case kOpNewTrue:
    case kOpNewFalse:
      return stack_.push({PickleKind::Bool, 0, op == kOpNewTrue}), true;
    case kOpBinInt:
      return stack_.push(whole(static_cast<int32_t>(reader_.u32()))), true;
    case kOpBinInt1:
      return stack_.push(whole(reader_.u8())), true;
    case kOpBinInt2:
      return stack_.push(whole(reader_.u16())), true;
    case kOpLong1:
      return push_long(reader_.u8()), true;
    case kOpLong4:
      return push_long(reader_.u32()), true;
    case kOpInt:
    case kOpLong:
    case kOpFloat:
      return push_number_line(op), true;
    case kOpBinFloat:  // the one big-endian number
      stack_.push({PickleKind::Float, 0, static_cast<int64_t>(__builtin_bswap64(reader_.u64()))});
      return true;
    case kOpUnicode:
      return push_unicode_line(), true;
    case kOpShortBinString:  // text of Python 2
    case kOpShortBinUnicode:
      return push_text(PickleKind::Text, reader_.u8()), true;
    case kOpBinString:
    case kOpBinUnicode:
      return push_text(PickleKind::Text, reader_.u32()), true;
    case kOpBinUnicode8:
      return push_text(PickleKind::Text, reader_.u64()), true;
    case kOpShortBinBytes:
      return push_text(PickleKind::Bytes, reader_.u8()), true;
    case kOpBinBytes:
      return push_text(PickleKind::Bytes, reader_.u32()), true;
    case kOpBinBytes8:
    case kOpByteArray8:
      return push_text(PickleKind::Bytes, reader_.u64()), true;
    default:
      return false;
  }
}

bool Machine::step_container(uint8_t op) {
  switch (op) {
    case kOpEmptyTuple:
      return push_tuple(0), true;
    case kOpTuple1:
    case kOpTuple2:
    case kOpTuple3:
      return push_tuple(static_cast<size_t>(op - kOpTuple1) + 1), true;
    case kOpTuple:
      return stack_.push(store_.make_tuple(stack_.pop_to_mark())), true;
    case kOpEmptyList:
      return stack_.push(store_.make_list(PickleKind::List)), true;
    case kOpEmptySet:
      return stack_.push(store_.make_list(PickleKind::Set)), true;
    case kOpEmptyDict:
      return stack_.push(store_.make_dict(PickleKind::Dict)), true;
    case kOpList:
    case kOpFrozenSet: {
      PickleValue list = store_.make_list(op == kOpList ? PickleKind::List : PickleKind::Set);
      append_all(stack_.pop_to_mark(), list);
      return stack_.push(list), true;
    }
    case kOpDict: {
      PickleValue dict = store_.make_dict(PickleKind::Dict);
      set_all(stack_.pop_to_mark(), dict);
      return stack_.push(dict), true;
    }
    case kOpAppend: {
      PickleValue item = stack_.pop();
      return store_.append(stack_.top(), item), true;
    }
    case kOpAppends:
    case kOpAddItems: {
      std::span<const PickleValue> items = stack_.pop_to_mark();
      return append_all(items, stack_.top()), true;
    }
    case kOpSetItem: {
      PickleValue value = stack_.pop(), key = stack_.pop();
      return store_.insert(stack_.top(), key, value), true;
    }
    case kOpSetItems: {
      std::span<const PickleValue> items = stack_.pop_to_mark();
      return set_all(items, stack_.top()), true;
    }
    default:
      return false;
  }
}

bool Machine::step_stack(uint8_t op) {
  switch (op) {
    case kOpMark:
      return stack_.push_mark(), true;
    case kOpPop:
      if (stack_.has_mark_on_top()) return stack_.pop_to_mark(), true;
      return stack_.pop(), true;
    case kOpPopMark:
      return stack_.pop_to_mark(), true;
    case kOpDup:
      return stack_.push(PickleValue(stack_.top())), true;
    case kOpPut:
      return memo_.put(index_line(), stack_.top()), true;
    case kOpBinPut:
      return memo_.put(reader_.u8(), stack_.top()), true;
    case kOpLongBinPut:
      return memo_.put(reader_.u32(), stack_.top()), true;
    case kOpMemoize:
      return memo_.put(memo_.size(), stack_.top()), true;
    case kOpGet:
      return stack_.push(PickleValue(memo_.get(index_line()))), true;
    case kOpBinGet:
      return stack_.push(PickleValue(memo_.get(reader_.u8()))), true;
    case kOpLongBinGet:
      return stack_.push(PickleValue(memo_.get(reader_.u32()))), true;
    default:
      return false;
  }
}

bool Machine::step_object(uint8_t op) {
  switch (op) {
    case kOpProto: {
      uint8_t version = reader_.u8();
      if (version <= 5) return true;
      Error error(ErrorCode::Unsupported, "pickle protocol of the future");
      throw error.got(std::to_string(version)).accepted("at most 5");
    }
    case kOpFrame: {
      uint64_t bytes = reader_.u64();
      if (bytes <= static_cast<uint64_t>(reader_.left())) return true;
      throw bad("frame is longer than the pickle").got(std::to_string(bytes));
    }
    case kOpGlobal: {
      std::string_view module = reader_.line(), name = reader_.line();
      return stack_.push(objects_.find_global(module, name)), true;
    }
    case kOpStackGlobal: {
      std::string_view name = pop_name(), module = pop_name();
      return stack_.push(objects_.find_global(module, name)), true;
    }
    case kOpReduce:
    case kOpNewObj:
      return call(), true;
    case kOpBinPersid:
      return stack_.push(objects_.load_persistent(stack_.pop())), true;
    case kOpBuild: {
      PickleValue state = stack_.pop();
      return objects_.build(stack_.top(), state), true;
    }
    default:
      return false;
  }
}

}  // namespace

PickleResult run_pickle(std::string_view pickle, PickleStore& store, PickleObjects& objects) {
  if (static_cast<int64_t>(pickle.size()) > kLimits.pickle_bytes) {
    throw bad("pickle is too long")
        .got(std::to_string(pickle.size()) + " bytes")
        .accepted("at most " + std::to_string(kLimits.pickle_bytes));
  }
  return Machine(pickle, store, objects).run();
}

}  // namespace tenon::frontends
