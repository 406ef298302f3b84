#include "frontends/torch_pickle/torch_file.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/checked.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "frontends/torch_pickle/state_dict.h"

namespace tenon::frontends {
namespace {

constexpr std::string_view kPickle = "data.pkl";

Error bad(std::string_view problem) {
  return Error(ErrorCode::BadInput, problem);
}

// Whether the name, behind the archive's own folder, is one that torch.save writes. Names that
// begin with a dot are its notes to itself, and more of them come with its versions.
bool is_known_record(std::string_view name) {
  return name == kPickle || name == "version" || name == "byteorder" || name.starts_with(".") ||
         (name.starts_with("data/") && name.find('/', 5) == name.npos);
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void check_byte_order(const ZipArchive& archive, const std::string& prefix) {
  const ZipRecord* record = archive.find(prefix + "byteorder");
  if (!record || as_text(archive.data(*record)) == "little") return;
  Error error(ErrorCode::Unsupported, "the archive was written on a big-endian machine");
  throw error.at("record byteorder")
      .got(as_text(archive.data(*record)).substr(0, 64))
      .accepted("little")
      .fix("load and save it with PyTorch on this machine");
}

// Strides of 0 and many views of one storage make far more bytes of tensors than the file has;
// reading them all would take accordingly long.
void check_expansion(const std::vector<WeightInfo>& weights, int64_t file_bytes) {
  // bounded: a file that is mapped has fewer than 2^47 bytes
  int64_t total = 0, most = (64ll << 20) + kLimits.torch_expansion * file_bytes;
  for (const WeightInfo& info : weights) {
    total = checked_add(total, info.bytes(), "bytes of all tensors");
    if (total <= most) continue;
    throw bad("the tensors are far larger than the file: their strides repeat elements")
        .at("tensor " + info.name)
        .got(std::to_string(total) + " bytes up to here")
        .accepted("at most " + std::to_string(most));
  }
}

}  // namespace

TorchFile::TorchFile(std::shared_ptr<const MappedFile> file)
    : file_(std::move(file)), archive_(file_->bytes()) {}

std::shared_ptr<const TorchFile> TorchFile::open(std::shared_ptr<const MappedFile> file) {
  try {
    std::shared_ptr<TorchFile> opened(new TorchFile(file));
    opened->read();
    file->verify_unchanged();
    return opened;
  } catch (Error& error) {
    // A file that was cut while it was read fails in odd ways; the cause is the better message.
    file->verify_unchanged();
    error.within(file->path());
    throw;
  }
}

// The record of the pickle; refuses archives of another kind.
std::string_view TorchFile::pickle_record(std::string& prefix) const {
  std::string_view folder;
  const ZipRecord* pickle = nullptr;
  for (const ZipRecord& record : archive_.records()) {
    size_t slash = record.name.find('/');
    std::string_view inner = slash == record.name.npos ? "" : record.name.substr(slash + 1);
    if (inner == "constants.pkl" || inner.starts_with("code/")) {
      Error error(ErrorCode::Unsupported, "a TorchScript archive: a program, not weights");
      throw error.at("record " + std::string(record.name))
          .fix("in PyTorch: torch.save(torch.jit.load(FILE).state_dict(), 'weights.pth')");
    }
    if (inner != kPickle) continue;
    if (pickle) throw bad("two pickles in one archive").got(record.name);
    pickle = &record;
    folder = record.name.substr(0, slash + 1);
  }
  if (!pickle) {
    throw bad("a zip archive, but not one of torch.save: it has no data.pkl")
        .got(std::to_string(archive_.records().size()) + " records");
  }
  archive_.require_stored();
  for (const ZipRecord& record : archive_.records()) {
    bool known =
        record.name.starts_with(folder) && is_known_record(record.name.substr(folder.size()));
    if (!known) throw bad("record that torch.save does not write").got(record.name);
  }
  prefix = folder;
  archive_.verify(*pickle);
  return as_text(archive_.data(*pickle));
}

void TorchFile::read() {
  std::string prefix;
  std::string_view pickle = pickle_record(prefix);
  check_byte_order(archive_, prefix);
  header_digest_ = digest_of(std::as_bytes(std::span(pickle.data(), pickle.size())));
  PickleStore store(pickle);
  TorchObjects objects(store, [&](std::string_view key) -> std::optional<StorageRecord> {
    const ZipRecord* record = archive_.find(prefix + "data/" + std::string(key.substr(0, 4096)));
    if (!record) return std::nullopt;
    return StorageRecord{static_cast<uint32_t>(record - archive_.records().data()), record->size};
  });
  PickleResult result;
  try {
    result = run_pickle(pickle, store, objects);
    take_tensors(objects, store, result.root);
  } catch (Error& error) {
    error.within("record " + prefix + std::string(kPickle));
    throw;
  }
  take_storages(objects.storages());
  check_expansion(weights_, bytes());
  if (result.bytes_after > 0) {
    log_warn(path() + ": " + std::to_string(result.bytes_after) +
             " bytes follow the end of the pickle; they are not read");
  }
}

void TorchFile::take_storages(const std::vector<TorchStorage>& storages) {
  storages_ = std::make_unique<Storage[]>(storages.size());
  for (size_t i = 0; i < storages.size(); ++i) {
    storages_[i].record = archive_.records()[storages[i].record];
  }
}

void TorchFile::take_tensors(const TorchObjects& objects, const PickleStore& store,
                             const PickleValue& root) {
  StateDict found = find_state_dict(store, root);
  notes_ = std::move(found.notes);
  for (NamedPickleTensor& entry : found.tensors) {
    const TorchTensor& tensor = objects.tensor(entry.tensor);
    weights_.push_back({std::move(entry.name), tensor.dtype, tensor.extents});
    tensors_.push_back(tensor);
  }
  by_name_.resize(weights_.size());
  std::iota(by_name_.begin(), by_name_.end(), 0u);
  std::sort(by_name_.begin(), by_name_.end(),
            [&](uint32_t a, uint32_t b) { return weights_[a].name < weights_[b].name; });
}

const WeightInfo* TorchFile::find(std::string_view name) const {
  auto at =
      std::lower_bound(by_name_.begin(), by_name_.end(), name,
                       [&](uint32_t i, std::string_view key) { return weights_[i].name < key; });
  return at != by_name_.end() && weights_[*at].name == name ? &weights_[*at] : nullptr;
}

void TorchFile::prepare(const Storage& storage) const {
  try {
    archive_.verify(storage.record);
  } catch (Error& error) {
    file_->verify_unchanged();
    error.within(path());
    throw;
  }
  std::span<const std::byte> bytes = archive_.data(storage.record);
  constexpr uintptr_t kWidest = 8;
  storage.data = bytes.data();
  if (reinterpret_cast<uintptr_t>(bytes.data()) % kWidest == 0) return;
  storage.aligned = Tensor::make(DType::U8, {static_cast<int64_t>(bytes.size())});
  std::memcpy(storage.aligned.view().data, bytes.data(), bytes.size());
  storage.data = storage.aligned.as<const std::byte>();
}

TensorView TorchFile::view(std::string_view name) const {
  const WeightInfo* info = find(name);
  if (!info) throw bad("no such tensor").at(path()).got(name);
  const TorchTensor& tensor = tensors_[static_cast<size_t>(info - weights_.data())];
  const Storage& storage = storages_[tensor.storage];
  std::call_once(storage.used, [&] { prepare(storage); });
  // bounded: the offset lies in the storage, as was verified when the file was opened
  TensorView view(storage.data + tensor.offset * (dtype_bits(tensor.dtype) / 8), tensor.dtype,
                  tensor.extents);
  view.strides = tensor.strides;
  return view;
}

}  // namespace tenon::frontends
