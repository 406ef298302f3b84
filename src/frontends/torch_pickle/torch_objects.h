#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "frontends/torch_pickle/pickle_machine.h"
#include "frontends/torch_pickle/torch_globals.h"
#include "tensor/extents.h"

namespace tenon::frontends {

// A storage the pickle names: a record of the archive.
struct TorchStorage {
  std::optional<DType> dtype;  // none: bytes, typed by the tensor
  uint32_t record = 0;
  int64_t bytes = 0;
};

// A tensor: a strided window on a storage, verified to lie inside it. Counts are of elements.
struct TorchTensor {
  uint32_t storage = 0;
  DType dtype = DType::F32;
  int64_t offset = 0;
  Extents extents, strides;
};

// A record that holds a storage's bytes.
struct StorageRecord {
  uint32_t record = 0;
  int64_t bytes = 0;
};

// The allow-list of a PyTorch checkpoint, and what its entries build. Nothing is executed.
class TorchObjects : public PickleObjects {
 public:
  // nullopt where the archive has no record of that key.
  using FindRecord = std::function<std::optional<StorageRecord>(std::string_view key)>;

  TorchObjects(PickleStore& store, FindRecord find_record)
      : store_(store), find_record_(std::move(find_record)) {}

  PickleValue find_global(std::string_view module, std::string_view name) override;
  PickleValue call(const PickleValue& callee, std::span<const PickleValue> arguments) override;
  PickleValue load_persistent(const PickleValue& id) override;
  void build(const PickleValue& object, const PickleValue& state) override;

  const std::vector<TorchStorage>& storages() const { return storages_; }
  const TorchTensor& tensor(const PickleValue& value) const {
    return tensors_.at(static_cast<size_t>(value.number));
  }

 private:
  PickleValue make_dict(PickleKind kind, std::span<const PickleValue> arguments);
  PickleValue make_set(std::span<const PickleValue> arguments);
  // (storage, offset, size, stride, ...): the element type from `dtype`, or from the storage.
  PickleValue make_tensor(std::span<const PickleValue> arguments, std::optional<DType> dtype);
  PickleValue from_type(std::span<const PickleValue> arguments);
  Extents extents_of(const PickleValue& value, std::string_view what) const;

  PickleStore& store_;
  FindRecord find_record_;
  std::vector<TorchStorage> storages_;
  std::unordered_map<std::string_view, uint32_t> by_key_;  // keys lie in the pickle
  std::vector<TorchTensor> tensors_;
};

}  // namespace tenon::frontends
