#include "frontends/safetensors/checkpoint_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <numeric>

#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "data/json.h"

namespace tenon::frontends {
namespace {

// What Hugging Face's tools write, the preferred first.
struct Layout {
  std::string_view single, index;
};
constexpr Layout kLayouts[] = {{"model.safetensors", "model.safetensors.index.json"},
                               {"pytorch_model.bin", "pytorch_model.bin.index.json"}};

// True for dangling links and special files too: opening them gives the better error.
bool has_entry(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> ends) {
  return std::ranges::any_of(ends, [&](std::string_view end) { return name.ends_with(end); });
}

// What a folder without a known layout holds, names in order.
struct Found {
  std::vector<std::string> weights;  // of kinds that are read
  std::vector<std::string> foreign;  // weights of other programs
  std::string shard;                 // one called "...-00001-of-00003...", or empty
  bool adapter = false;
};

Found list_weights(const std::string& folder) {
  Found found;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed)) {
    std::string name = entry.path().filename();
    if (name == "adapter_config.json") found.adapter = true;
    if (ends_with_any(name, {".gguf", ".onnx", ".h5", ".msgpack", ".npz", ".ot"}))
      found.foreign.push_back(name);
    if (!ends_with_any(name, {".safetensors", ".bin", ".pth", ".pt", ".ckpt"})) continue;
    found.weights.push_back(name);
    if (name.find("-of-0") != name.npos) found.shard = name;
  }
  if (failed) {
    throw Error(ErrorCode::Io, "cannot list the folder: " + failed.message()).at(folder);
  }
  std::ranges::sort(found.weights);
  std::ranges::sort(found.foreign);
  return found;
}

std::string some_of(std::vector<std::string> names) {
  constexpr size_t kShown = 4;
  if (names.size() > kShown) names.resize(kShown);
  return join(names, ", ");
}

// Why a folder without a known layout cannot be read, and what would help.
Error no_weights(const std::string& folder, const Found& found) {
  if (found.adapter) {
    return Error(ErrorCode::Unsupported, "an adapter (LoRA), not a whole model")
        .at(folder)
        .got("adapter_config.json")
        .accepted("the weights of a whole model")
        .fix("with PEFT: model.merge_and_unload().save_pretrained(DIR), then build DIR");
  }
  if (!found.shard.empty()) {
    const Layout& layout = kLayouts[found.shard.ends_with(".safetensors") ? 0 : 1];
    return Error(ErrorCode::BadInput, "shards without their index")
        .at(folder)
        .got(some_of(found.weights))
        .accepted(layout.index)
        .fix("download " + std::string(layout.index) + ", which is published beside them");
  }
  Error error(ErrorCode::BadInput, "no weights in the folder");
  error.at(folder).accepted(
      "model.safetensors, pytorch_model.bin, one of them with .index.json and shards, "
      "consolidated.*.pth with params.json, or a single .pth, .pt, .ckpt or .bin file");
  if (!found.weights.empty()) {
    error.got(some_of(found.weights)).fix("give the path of one file");
  } else if (!found.foreign.empty()) {
    error.got(some_of(found.foreign)).fix("take the safetensors or PyTorch files of the model");
  }
  return error;
}

// The one file of weights in a folder of another layout.
std::string only_weights_file(const std::string& folder) {
  Found found = list_weights(folder);
  bool one = found.weights.size() == 1 && found.shard.empty() && !found.adapter;
  if (one && !found.weights[0].ends_with(".safetensors")) {
    return resolve_in_folder(folder, found.weights[0]);
  }
  throw no_weights(folder, found);
}

// The index may not reach files through names of its own choice: links are resolved by
// resolve_in_folder, and a hard link looks like any other file.
void check_one_link(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || status.st_nlink <= 1) return;
  throw Error(ErrorCode::BadInput, "shard is a hard link")
      .at(path)
      .got(std::to_string(status.st_nlink) + " links")
      .fix("copy the file: cp " + path + " copy && mv copy " + path);
}

// Shard -> the tensors the index names in it.
using ShardTensors = std::map<std::string, std::vector<std::string>>;

ShardTensors read_index(const std::string& path) {
  data::Json index = data::read_json_file(path, kLimits.shard_index_bytes);
  ShardTensors shards;
  try {
    const data::Json& map = index.at("weight_map", "$");
    for (const auto& [tensor, shard] : map.as_object("$.weight_map")) {
      shards[shard.as_string("$.weight_map." + tensor)].push_back(tensor);
    }
    if (shards.empty()) throw Error(ErrorCode::BadInput, "names no tensors").at("$.weight_map");
    if (static_cast<int64_t>(shards.size()) > kLimits.shards) {
      throw Error(ErrorCode::BadInput, "too many shards")
          .got(std::to_string(shards.size()))
          .accepted("at most " + std::to_string(kLimits.shards));
    }
  } catch (Error& error) {
    error.within(path);
    throw;
  }
  return shards;
}

// Throws where the shard lacks a listed tensor; returns a warning where it holds others, else "".
std::string check_listed(const WeightFile& file, const std::vector<std::string>& listed,
                         const std::string& index_path) {
  for (const std::string& name : listed) {
    if (file.find(name)) continue;
    throw Error(ErrorCode::BadInput, "shard lacks a tensor that the index names")
        .at(index_path)
        .at(file.path())
        .got(name);
  }
  size_t others = file.weights().size() - listed.size();
  if (others == 0) return "";
  return file.path() + ": " + std::to_string(others) +
         " tensors are not in the index; they are read all the same";
}

std::string parent_folder(const std::string& path) {
  std::string parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? "." : parent;
}

}  // namespace

std::shared_ptr<const CheckpointFolder> CheckpointFolder::open(const std::string& path) {
  std::shared_ptr<CheckpointFolder> opened(new CheckpointFolder());
  if (!is_directory(path)) {
    if (path.ends_with(".index.json")) {
      opened->open_index(parent_folder(path), path);
    } else {
      opened->open_single(path);
    }
    return opened;
  }
  for (const Layout& layout : kLayouts) {
    std::string index = path + "/" + std::string(layout.index);
    if (has_entry(path + "/" + std::string(layout.single))) {
      opened->open_single(resolve_in_folder(path, layout.single));
      return opened;
    }
    if (has_entry(index)) {
      opened->open_index(path, index);
      return opened;
    }
  }
  opened->open_single(only_weights_file(path));
  return opened;
}

void CheckpointFolder::open_single(const std::string& path) {
  add(open_weight_file(path));
  index_names();
}

void CheckpointFolder::open_index(const std::string& folder, const std::string& index_path) {
  std::vector<std::string> warnings;  // said only where the checkpoint is accepted
  Problems problems;                  // of all shards, so that one look shows what is missing
  for (const auto& [shard, tensors] : read_index(index_path)) {
    try {
      std::string warning = add_shard(folder, shard, tensors, index_path);
      if (!warning.empty()) warnings.push_back(std::move(warning));
    } catch (const Error& error) {
      problems.add(error);
    }
  }
  problems.throw_if_any();
  index_names();
  for (const std::string& warning : warnings) log_warn(warning);
}

// Returns a warning, or "".
std::string CheckpointFolder::add_shard(const std::string& folder, const std::string& shard,
                                        const std::vector<std::string>& tensors,
                                        const std::string& index_path) {
  std::string path;
  try {
    path = resolve_in_folder(folder, shard);
  } catch (Error& error) {
    error.within(index_path);
    throw;
  }
  check_one_link(path);
  std::shared_ptr<const WeightFile> file = open_weight_file(path);
  std::string warning = check_listed(*file, tensors, index_path);
  add(std::move(file));
  return warning;
}

void CheckpointFolder::add(std::shared_ptr<const WeightFile> file) {
  uint32_t number = static_cast<uint32_t>(files_.size());
  weights_.insert(weights_.end(), file->weights().begin(), file->weights().end());
  file_of_.resize(weights_.size(), number);
  files_.push_back(std::move(file));
}

void CheckpointFolder::index_names() {
  by_name_.resize(weights_.size());
  std::iota(by_name_.begin(), by_name_.end(), 0u);
  std::sort(by_name_.begin(), by_name_.end(),
            [&](uint32_t a, uint32_t b) { return weights_[a].name < weights_[b].name; });
  for (size_t i = 1; i < by_name_.size(); ++i) {
    uint32_t a = by_name_[i - 1], b = by_name_[i];
    if (weights_[a].name != weights_[b].name) continue;
    throw Error(ErrorCode::BadInput, "tensor is in two shards")
        .at(files_[file_of_[a]]->path())
        .at(files_[file_of_[b]]->path())
        .got(weights_[a].name);
  }
}

const WeightInfo* CheckpointFolder::find(std::string_view name) const {
  auto at =
      std::lower_bound(by_name_.begin(), by_name_.end(), name,
                       [&](uint32_t i, std::string_view key) { return weights_[i].name < key; });
  return at != by_name_.end() && weights_[*at].name == name ? &weights_[*at] : nullptr;
}

TensorView CheckpointFolder::view(std::string_view name) const {
  const WeightInfo* info = find(name);
  if (!info) {
    Error error(ErrorCode::BadInput, "no such tensor in the checkpoint");
    throw error.at(files_.empty() ? "checkpoint" : parent_folder(files_[0]->path())).got(name);
  }
  return files_[file_of_[info - weights_.data()]]->view(name);
}

void CheckpointFolder::verify_unchanged() const {
  for (const auto& file : files_) file->verify_unchanged();
}

}  // namespace tenon::frontends
