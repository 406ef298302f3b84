#pragma once

#include <span>
#include <string_view>

#include "frontends/torch_pickle/pickle_store.h"

namespace tenon::frontends {

// What a pickle may name, and what becomes of it. Implementations refuse with tenon::Error; they
// never look anything up outside a fixed list.
class PickleObjects {
 public:
  virtual ~PickleObjects() = default;
  virtual PickleValue find_global(std::string_view module, std::string_view name) = 0;
  virtual PickleValue call(const PickleValue& callee, std::span<const PickleValue> arguments) = 0;
  virtual PickleValue load_persistent(const PickleValue& id) = 0;
  // Sets the state of an object that was made before.
  virtual void build(const PickleValue& object, const PickleValue& state) = 0;
};

struct PickleResult {
  PickleValue root;
  int64_t bytes_after = 0;  // that follow the end of the pickle
};

// Interprets a pickle of protocol 1 to 5 as data: opcodes build values, and nothing runs. Opcodes
// that could name code in other ways (INST, OBJ, EXT*, NEWOBJ_EX, PERSID, out-of-band buffers) are
// refused. Throws ErrorCode::BadInput or Unsupported naming the byte and the opcode.
PickleResult run_pickle(std::string_view pickle, PickleStore& store, PickleObjects& objects);

}  // namespace tenon::frontends
