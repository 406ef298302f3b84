#pragma once

#include <string_view>

#include "tensor/dtype.h"

namespace tenon::frontends {

// What an allowed name stands for.
enum class TorchGlobal : uint8_t {
  OrderedDict,
  Counter,
  Set,
  Size,
  RebuildTensor,
  RebuildTensorV2,
  RebuildTensorV3,
  RebuildParameter,
  RebuildParameterWithState,
  RebuildFromType,
  TensorType,   // torch.Tensor, torch.nn.Parameter: the plain kinds
  StorageType,  // of one element type
  UntypedStorage,
  ElementType,
  Inert,    // makes something nobody reads: a device, a number of numpy's
  Refused,  // known, and not read: `reason` says what it is
};

struct AllowedGlobal {
  std::string_view module, name;
  TorchGlobal what;
  DType dtype = DType::F32;      // StorageType, ElementType
  std::string_view reason = {};  // Refused
};

// The number of the entry of the allow-list. Throws ErrorCode::BadInput naming what is not on it,
// Unsupported for known kinds of tensors that are not read (sparse, quantised ...).
int find_torch_global(std::string_view module, std::string_view name);
const AllowedGlobal& torch_global(int number);

}  // namespace tenon::frontends
