#include "frontends/torch_pickle/pickle_machine.h"
#include "frontends/torch_pickle/state_dict.h"
#include "frontends/torch_pickle/torch_objects.h"
#include "fuzz_input.h"

namespace {

constexpr int64_t kStorageBytes = 96;

// The window of an accepted tensor, element by element, must lie in the storage.
void check_window(const tenon::frontends::TorchTensor& tensor) {
  int64_t end = tensor.offset, count = 1;
  for (int axis = 0; axis < tensor.extents.rank(); ++axis) {
    count *= tensor.extents[axis];
    if (tensor.extents[axis] > 0) end += (tensor.extents[axis] - 1) * tensor.strides[axis];
  }
  int64_t size = tenon::dtype_bits(tensor.dtype) / 8;
  if (count > 0 && (end + 1) * size > kStorageBytes) std::abort();
  if (count == 0 && tensor.offset * size > kStorageBytes) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tenon;
  fuzz::refuse_or_accept([&] {
    std::string_view pickle = fuzz::text_of(data, size);
    frontends::PickleStore store(pickle);
    frontends::TorchObjects objects(store, [](std::string_view key) {
      bool known = key.size() == 1 && key[0] >= '0' && key[0] <= '9';
      return known ? std::optional<frontends::StorageRecord>({0, kStorageBytes}) : std::nullopt;
    });
    frontends::PickleResult result = frontends::run_pickle(pickle, store, objects);
    for (const auto& entry : frontends::find_state_dict(store, result.root).tensors) {
      check_window(objects.tensor(entry.tensor));
    }
  });
  return 0;
}
