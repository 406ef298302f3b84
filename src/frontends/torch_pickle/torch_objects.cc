#include "frontends/torch_pickle/torch_objects.h"

#include <string>

#include "base/checked.h"
#include "base/error.h"
#include "base/limits.h"

namespace tenon::frontends {
namespace {

Error bad(std::string_view problem) {
  return Error(ErrorCode::BadInput, problem);
}

void check_kind(const PickleValue& value, PickleKind kind, std::string_view what) {
  if (value.kind == kind) return;
  throw bad("argument of the wrong kind")
      .at(what)
      .got(pickle_kind_name(value.kind))
      .accepted(pickle_kind_name(kind));
}

void check_count(std::span<const PickleValue> arguments, size_t least, size_t most) {
  if (arguments.size() >= least && arguments.size() <= most) return;
  std::string accepted = std::to_string(least);
  if (most != least) accepted += " to " + std::to_string(most);
  throw bad("wrong number of arguments").got(std::to_string(arguments.size())).accepted(accepted);
}

// A whole number that is not negative.
int64_t size_of(const PickleValue& value, std::string_view what) {
  check_kind(value, PickleKind::Int, what);
  if (value.number >= 0) return value.number;
  throw bad("negative number").at(what).got(std::to_string(value.number)).accepted("0 or more");
}

// Throws unless every element of the tensor lies in a storage of `count` elements.
void check_inside(const TorchTensor& tensor, int64_t count) {
  int64_t elements = checked_product(tensor.extents.span(), "size");
  dtype_bytes(tensor.dtype, elements);  // overflow is refused even where strides repeat elements
  int64_t end = tensor.offset;
  for (int axis = 0; elements > 0 && axis < tensor.extents.rank(); ++axis) {
    int64_t reach = checked_mul(tensor.extents[axis] - 1, tensor.strides[axis], "stride");
    end = checked_add(end, reach, "stride");
  }
  if (elements > 0) end = checked_add<int64_t>(end, 1, "offset");
  if (end <= count) return;
  throw bad("tensor reaches beyond its storage")
      .got("size " + tensor.extents.to_string() + ", stride " + tensor.strides.to_string() +
           ", offset " + std::to_string(tensor.offset) + ": ends at " + std::to_string(end))
      .accepted("at most " + std::to_string(count) + " elements");
}

}  // namespace

PickleValue TorchObjects::find_global(std::string_view module, std::string_view name) {
  return {PickleKind::Global, 0, find_torch_global(module, name)};
}

PickleValue TorchObjects::call(const PickleValue& callee, std::span<const PickleValue> arguments) {
  const AllowedGlobal& global = torch_global(static_cast<int>(callee.number));
  try {
    switch (global.what) {
      case TorchGlobal::OrderedDict:
        return make_dict(PickleKind::OrderedDict, arguments);
      case TorchGlobal::Counter:
        return make_dict(PickleKind::Dict, arguments);
      case TorchGlobal::Set:
        return make_set(arguments);
      case TorchGlobal::Size:
        check_count(arguments, 1, 1);
        check_kind(arguments[0], PickleKind::Tuple, "size");
        return arguments[0];
      case TorchGlobal::RebuildTensor:
        check_count(arguments, 4, 4);
        return make_tensor(arguments, std::nullopt);
      case TorchGlobal::RebuildTensorV2:  // requires_grad, backward_hooks, metadata follow
        check_count(arguments, 6, 7);
        return make_tensor(arguments, std::nullopt);
      case TorchGlobal::RebuildTensorV3: {
        check_count(arguments, 7, 8);
        check_kind(arguments[6], PickleKind::Global, "dtype");
        const AllowedGlobal& type = torch_global(static_cast<int>(arguments[6].number));
        if (type.what != TorchGlobal::ElementType) throw bad("no element type").at("dtype");
        return make_tensor(arguments, type.dtype);
      }
      case TorchGlobal::RebuildParameter:  // tensor, requires_grad, backward_hooks
        check_count(arguments, 3, 3);
        check_kind(arguments[0], PickleKind::Tensor, "data");
        return arguments[0];
      case TorchGlobal::RebuildParameterWithState:
        check_count(arguments, 4, 4);
        check_kind(arguments[0], PickleKind::Tensor, "data");
        return arguments[0];
      case TorchGlobal::RebuildFromType:
        return from_type(arguments);
      case TorchGlobal::Inert:
        return {PickleKind::Opaque, 0, 0};
      default:
        throw bad("a type is called that makes nothing in a checkpoint");
    }
  } catch (Error& error) {
    error.within(std::string(global.module) + "." + std::string(global.name));
    throw;
  }
}

PickleValue TorchObjects::make_dict(PickleKind kind, std::span<const PickleValue> arguments) {
  check_count(arguments, 0, 1);
  PickleValue dict = store_.make_dict(kind);
  if (arguments.empty()) return dict;
  const PickleValue& content = arguments[0];
  if (content.kind == PickleKind::Dict || content.kind == PickleKind::OrderedDict) {
    // By index: the entries' memory moves while entries are added.
    for (size_t i = 0; i < store_.entries(content).size(); ++i) {
      PickleEntry entry = store_.entries(content)[i];
      store_.insert(dict, entry.first, entry.second);
    }
    return dict;
  }
  check_kind(content, PickleKind::List, "content");
  for (const PickleValue& pair : store_.items(content)) {
    bool two = (pair.kind == PickleKind::Tuple || pair.kind == PickleKind::List) &&
               store_.items(pair).size() == 2;
    if (!two) throw bad("entry is no pair").at("content").got(pickle_kind_name(pair.kind));
    store_.insert(dict, store_.items(pair)[0], store_.items(pair)[1]);
  }
  return dict;
}

PickleValue TorchObjects::make_set(std::span<const PickleValue> arguments) {
  check_count(arguments, 0, 1);
  PickleValue set = store_.make_list(PickleKind::Set);
  if (arguments.empty()) return set;
  check_kind(arguments[0], PickleKind::List, "content");
  for (size_t i = 0; i < store_.items(arguments[0]).size(); ++i) {
    store_.append(set, PickleValue(store_.items(arguments[0])[i]));
  }
  return set;
}

Extents TorchObjects::extents_of(const PickleValue& value, std::string_view what) const {
  check_kind(value, PickleKind::Tuple, what);
  std::span<const PickleValue> items = store_.items(value);
  if (items.size() > static_cast<size_t>(kLimits.tensor_rank)) {
    throw bad("tensor has too many axes")
        .at(what)
        .got(std::to_string(items.size()))
        .accepted("at most " + std::to_string(kLimits.tensor_rank));
  }
  Extents extents;
  for (const PickleValue& item : items) extents.push_back(size_of(item, what));
  return extents;
}

PickleValue TorchObjects::make_tensor(std::span<const PickleValue> arguments,
                                      std::optional<DType> dtype) {
  check_kind(arguments[0], PickleKind::Storage, "storage");
  const TorchStorage& storage = storages_[static_cast<size_t>(arguments[0].number)];
  if (storage.dtype && dtype && *storage.dtype != *dtype) {
    throw bad("storage and tensor have different element types")
        .got(dtype_name(*storage.dtype))
        .accepted(dtype_name(*dtype));
  }
  TorchTensor tensor;
  tensor.storage = static_cast<uint32_t>(arguments[0].number);
  tensor.dtype = storage.dtype ? *storage.dtype : dtype.value_or(DType::U8);
  tensor.offset = size_of(arguments[1], "offset");
  tensor.extents = extents_of(arguments[2], "size");
  tensor.strides = extents_of(arguments[3], "stride");
  if (tensor.extents.rank() != tensor.strides.rank()) {
    throw bad("size and stride have different lengths")
        .got(std::to_string(tensor.strides.rank()))
        .accepted(std::to_string(tensor.extents.rank()));
  }
  check_inside(tensor, storage.bytes / (dtype_bits(tensor.dtype) / 8));
  if (static_cast<int64_t>(tensors_.size()) == kLimits.torch_tensors) {
    throw bad("too many tensors in one file")
        .accepted("at most " + std::to_string(kLimits.torch_tensors));
  }
  tensors_.push_back(tensor);
  return {PickleKind::Tensor, 0, static_cast<int64_t>(tensors_.size()) - 1};
}

// (function, type, arguments, state): a tensor that carries attributes of its own.
PickleValue TorchObjects::from_type(std::span<const PickleValue> arguments) {
  check_count(arguments, 4, 4);
  check_kind(arguments[0], PickleKind::Global, "function");
  check_kind(arguments[1], PickleKind::Global, "type");
  check_kind(arguments[2], PickleKind::Tuple, "arguments");
  const AllowedGlobal& function = torch_global(static_cast<int>(arguments[0].number));
  const AllowedGlobal& type = torch_global(static_cast<int>(arguments[1].number));
  bool rebuilds = function.what == TorchGlobal::RebuildTensorV2 ||
                  function.what == TorchGlobal::RebuildTensorV3 ||
                  function.what == TorchGlobal::RebuildParameter;
  if (!rebuilds || type.what != TorchGlobal::TensorType) {
    throw bad("no plain tensor").got(type.name);
  }
  // The items' memory may move in the call.
  std::vector<PickleValue> inner(store_.items(arguments[2]).begin(),
                                 store_.items(arguments[2]).end());
  return call(arguments[0], inner);
}

// ("storage", type, key, location, number of elements)
PickleValue TorchObjects::load_persistent(const PickleValue& id) {
  check_kind(id, PickleKind::Tuple, "id");
  std::span<const PickleValue> items = store_.items(id);
  check_count(items, 5, 5);
  check_kind(items[0], PickleKind::Text, "kind");
  if (store_.text(items[0]) != "storage") {
    throw bad("reference to what is no storage").got(store_.text(items[0]));
  }
  check_kind(items[1], PickleKind::Global, "type");
  check_kind(items[2], PickleKind::Text, "key");
  const AllowedGlobal& type = torch_global(static_cast<int>(items[1].number));
  bool untyped = type.what == TorchGlobal::UntypedStorage;
  if (!untyped && type.what != TorchGlobal::StorageType) {
    throw bad("not the type of a storage").got(type.name);
  }
  std::string_view key = store_.text(items[2]);
  int64_t count = size_of(items[4], "number of elements");
  TorchStorage storage;
  if (!untyped) storage.dtype = type.dtype;
  storage.bytes = untyped ? count : dtype_bytes(type.dtype, count);
  auto known = by_key_.find(key);
  if (known != by_key_.end()) {
    const TorchStorage& before = storages_[known->second];
    if (before.dtype == storage.dtype && before.bytes == storage.bytes) {
      return {PickleKind::Storage, 0, known->second};
    }
    throw bad("one storage with two types or sizes").at("storage " + std::string(key));
  }
  std::optional<StorageRecord> record = find_record_(key);
  if (!record) throw bad("the archive has no record of this storage").got(key);
  if (record->bytes != storage.bytes) {
    throw bad("record and storage differ in size")
        .at("storage " + std::string(key))
        .got(std::to_string(record->bytes) + " bytes")
        .accepted(std::to_string(storage.bytes));
  }
  storage.record = record->record;
  store_.keep(4);
  uint32_t number = static_cast<uint32_t>(storages_.size());
  storages_.push_back(storage);
  by_key_.emplace(key, number);
  return {PickleKind::Storage, 0, number};
}

void TorchObjects::build(const PickleValue& object, const PickleValue& state) {
  // An OrderedDict's attributes (torch's _metadata), or the inside of a number of numpy's: not
  // read.
  bool stateful = object.kind == PickleKind::OrderedDict || object.kind == PickleKind::Opaque;
  if (!stateful) throw bad("state for what has none").got(pickle_kind_name(object.kind));
  bool plain = state.kind == PickleKind::Dict || state.kind == PickleKind::Tuple ||
               state.kind == PickleKind::None || state.kind == PickleKind::OrderedDict;
  if (!plain) throw bad("state of the wrong kind").got(pickle_kind_name(state.kind));
}

}  // namespace tenon::frontends
