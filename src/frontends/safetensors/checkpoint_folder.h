#pragma once

#include <memory>
#include <string>
#include <vector>

#include "frontends/weight_file.h"

namespace tenon::frontends {

// The weights of a model folder in Hugging Face's layout, or of one file: mapped, not read. A
// folder holds model.safetensors or pytorch_model.bin, or either's index and the shards it names,
// or one file of PyTorch under another name. Formats are told by content. Names in the index are
// never followed out of the folder (except into the blob store of a Hugging Face cache).
// Thread-safe.
class CheckpointFolder : public WeightSource {
 public:
  // Throws ErrorCode::BadInput where a file is wrong or missing, Unsupported where it is of a kind
  // that is not read.
  static std::shared_ptr<const CheckpointFolder> open(const std::string& path);

  // In the order of the files, and of the bytes in each.
  const std::vector<WeightInfo>& weights() const override { return weights_; }
  const WeightInfo* find(std::string_view name) const override;
  TensorView view(std::string_view name) const override;
  void verify_unchanged() const override;

  // The files the weights come from, each once, in order of their names.
  const std::vector<std::shared_ptr<const WeightFile>>& files() const { return files_; }

 private:
  CheckpointFolder() = default;
  void add(std::shared_ptr<const WeightFile> file);
  void open_single(const std::string& path);
  void open_index(const std::string& folder, const std::string& index_path);
  std::string add_shard(const std::string& folder, const std::string& shard,
                        const std::vector<std::string>& tensors, const std::string& index_path);
  void index_names();

  std::vector<std::shared_ptr<const WeightFile>> files_;
  std::vector<WeightInfo> weights_;
  std::vector<uint32_t> file_of_;  // [weights], index into files_
  std::vector<uint32_t> by_name_;  // [weights], indices sorted by name
};

}  // namespace tenon::frontends
