#pragma once

#include <string>
#include <vector>

#include "frontends/torch_pickle/pickle_store.h"

namespace tenon::frontends {

struct NamedPickleTensor {
  std::string name;
  PickleValue tensor;
};

// The weights of a checkpoint, in its order.
struct StateDict {
  std::vector<NamedPickleTensor> tensors;
  std::vector<std::string> notes;  // which part of the file was taken, and what was left
};

// Finds the weights in what a checkpoint holds: a dict of tensors, or one inside the records of a
// training run ("model", "state_dict", "ema" ...). Dicts and lists inside it are joined with dots;
// a "module." that every name begins with is dropped. Throws ErrorCode::BadInput where there are
// none, or where it is not clear which are meant.
StateDict find_state_dict(const PickleStore& store, const PickleValue& root);

}  // namespace tenon::frontends
