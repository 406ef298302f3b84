#pragma once

#include <cuda_runtime_api.h>

#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backends/cuda/fused/nvrtc.h"

namespace tenon::cuda {

// Machine code of one source for one architecture, on its way or there.
class CompiledSource {
 public:
  // Starts at once, on a thread of its own; as many compile at once as the machine has cores.
  CompiledSource(const Nvrtc& api, std::string source, std::string architecture);

  // The kernel of that name. Waits for the compiler, then loads the code, both once. Not while a
  // stream is recorded: a plan's steps run once before they are.
  cudaKernel_t kernel(const char* name);

 private:
  std::shared_future<std::vector<char>> code_;
  std::once_flag loaded_;
  cudaLibrary_t library_ = nullptr;
};

// The one of this source and architecture in this process, started where it is new.
std::shared_ptr<CompiledSource> compile_in_background(const Nvrtc& api, const std::string& source,
                                                      const std::string& architecture);

// Machine code kept for the user between runs, under $XDG_CACHE_HOME/tenon or ~/.cache/tenon by a
// digest of source, architecture and compiler version. A file that is damaged, belongs to somebody
// else, or cannot be written is as good as none: compiling is always right.
class CubinFiles {
 public:
  CubinFiles();                             // from the environment
  explicit CubinFiles(std::string folder);  // "": keeps nothing
  const std::string& folder() const { return folder_; }

  static std::string key(const std::string& source, const std::string& architecture, int version);
  std::vector<char> read(const std::string& key) const;  // empty where there is none
  // Appears whole or not at all.
  void write(const std::string& key, const std::vector<char>& code) const;

 private:
  std::string path(const std::string& key) const;
  std::string folder_;
};

}  // namespace tenon::cuda
