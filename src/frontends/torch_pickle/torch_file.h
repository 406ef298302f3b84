#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/file.h"
#include "frontends/torch_pickle/torch_objects.h"
#include "frontends/torch_pickle/zip_archive.h"
#include "frontends/weight_file.h"

namespace tenon::frontends {

// A checkpoint of torch.save (the zip format of PyTorch 1.6 and newer), mapped. Its pickle is
// interpreted as data through an allow-list; nothing in it is run. Everything but the storages is
// verified when the file is opened; a storage's checksum at its first use. Views are strided as
// they were saved. Thread-safe.
class TorchFile : public WeightFile {
 public:
  // Throws ErrorCode::BadInput or Unsupported, naming file, record, byte and opcode.
  static std::shared_ptr<const TorchFile> open(std::shared_ptr<const MappedFile> file);

  // In the order of the state dict.
  const std::vector<WeightInfo>& weights() const override { return weights_; }
  const WeightInfo* find(std::string_view name) const override;
  // A storage that is not aligned for its type is copied once, at its first use.
  TensorView view(std::string_view name) const override;
  void verify_unchanged() const override { file_->verify_unchanged(); }

  const std::string& path() const override { return file_->path(); }
  int64_t bytes() const override { return static_cast<int64_t>(file_->bytes().size()); }
  const Digest& header_digest() const override { return header_digest_; }
  const std::vector<std::string>& notes() const override { return notes_; }

 private:
  struct Storage {
    ZipRecord record;
    mutable std::once_flag used;
    mutable Tensor aligned;  // a copy, where the record is not aligned
    mutable const std::byte* data = nullptr;
  };

  explicit TorchFile(std::shared_ptr<const MappedFile> file);
  void read();
  std::string_view pickle_record(std::string& prefix) const;
  void take_storages(const std::vector<TorchStorage>& storages);
  void take_tensors(const TorchObjects& objects, const PickleStore& store, const PickleValue& root);
  void prepare(const Storage& storage) const;

  std::shared_ptr<const MappedFile> file_;
  ZipArchive archive_;
  std::unique_ptr<Storage[]> storages_;
  std::vector<TorchTensor> tensors_;  // [weights]
  std::vector<WeightInfo> weights_;
  std::vector<uint32_t> by_name_;  // [weights], indices sorted by name
  std::vector<std::string> notes_;
  Digest header_digest_;
};

}  // namespace tenon::frontends
