#include "frontends/checkpoint.h"

#include "base/file.h"
#include "frontends/safetensors/checkpoint_folder.h"
#include "frontends/torch_pickle/meta_checkpoint.h"

namespace tenon::frontends {

Checkpoint open_checkpoint(const std::string& path) {
  if (is_meta_folder(path)) return open_meta_checkpoint(path);
  auto folder = CheckpointFolder::open(path);
  Checkpoint checkpoint;
  checkpoint.files = folder->files();
  checkpoint.weights = std::move(folder);
  for (const auto& file : checkpoint.files) {
    for (const std::string& note : file->notes())
      checkpoint.notes.push_back(file->path() + ": " + note);
  }
  return checkpoint;
}

}  // namespace tenon::frontends
