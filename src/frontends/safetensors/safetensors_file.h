#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/file.h"
#include "frontends/weight_file.h"

namespace tenon::frontends {

// One tensor of a .safetensors file.
struct SafetensorsEntry {
  WeightInfo info;
  int64_t offset = 0;  // from the start of the file
};

// One .safetensors file, mapped. Everything about it is verified when it is opened: the header's
// syntax and limits, every type, shape and range, and that the tensors cover the data exactly, in
// any order, without a gap or an overlap. Thread-safe.
//
// Shapes of rank 9 to 16 are accepted where dropping axes of size 1 (the first ones, as many as
// needed) makes the rank 8; other shapes of that rank are Unsupported.
class SafetensorsFile : public WeightFile {
 public:
  // Throws ErrorCode::BadInput or Unsupported, naming the file and the tensor or byte.
  static std::shared_ptr<const SafetensorsFile> open(const std::string& path);
  static std::shared_ptr<const SafetensorsFile> open(std::shared_ptr<const MappedFile> file);

  // In the order of their bytes in the file.
  const std::vector<WeightInfo>& weights() const override { return weights_; }
  const WeightInfo* find(std::string_view name) const override;
  // A tensor whose bytes are not aligned for its type is copied once, at its first use.
  TensorView view(std::string_view name) const override;
  void verify_unchanged() const override { file_->verify_unchanged(); }

  const std::string& path() const override { return file_->path(); }
  int64_t bytes() const override { return static_cast<int64_t>(file_->bytes().size()); }
  const Digest& header_digest() const override { return header_digest_; }

 private:
  SafetensorsFile() = default;
  int64_t index_of(std::string_view name) const;  // -1 where there is none

  std::shared_ptr<const MappedFile> file_;
  std::vector<WeightInfo> weights_;
  std::vector<int64_t> offsets_;   // [weights]
  std::vector<uint32_t> by_name_;  // [weights], indices sorted by name
  Digest header_digest_;
  mutable std::mutex aligned_mutex_;
  mutable std::map<int64_t, Tensor> aligned_;  // copies of unaligned tensors, by index
};

}  // namespace tenon::frontends
