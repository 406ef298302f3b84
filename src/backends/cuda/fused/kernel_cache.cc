#include "backends/cuda/fused/kernel_cache.h"

#include <algorithm>
#include <map>
#include <semaphore>
#include <thread>

#include "backends/cuda/cuda_error.h"

namespace tenon::cuda {
namespace {

std::vector<char> find_or_compile(const Nvrtc& api, const std::string& source,
                                  const std::string& architecture) {
  static const CubinFiles files;
  std::string key = CubinFiles::key(source, architecture, api.version);
  std::vector<char> code = files.read(key);
  if (!code.empty()) return code;
  // A model may have hundreds of chains; each has its thread, but not its core.
  static std::counting_semaphore<> cores(std::max(1u, std::thread::hardware_concurrency()));
  struct Core {
    Core() { cores.acquire(); }
    ~Core() { cores.release(); }
  } core;
  code = compile_cubin(api, source, architecture);
  files.write(key, code);
  return code;
}

}  // namespace

CompiledSource::CompiledSource(const Nvrtc& api, std::string source, std::string architecture)
    : code_(std::async(std::launch::async, [&api, source = std::move(source),
                                            architecture = std::move(architecture)] {
              return find_or_compile(api, source, architecture);
            }).share()) {}

cudaKernel_t CompiledSource::kernel(const char* name) {
  std::call_once(loaded_, [&] {
    check(cudaLibraryLoadData(&library_, code_.get().data(), nullptr, nullptr, 0, nullptr, nullptr,
                              0),
          "cudaLibraryLoadData");
  });
  cudaKernel_t kernel = nullptr;
  check(cudaLibraryGetKernel(&kernel, library_, name), name);
  return kernel;
}

std::shared_ptr<CompiledSource> compile_in_background(const Nvrtc& api, const std::string& source,
                                                      const std::string& architecture) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, std::string>, std::shared_ptr<CompiledSource>> known;
  std::lock_guard lock(mutex);
  std::shared_ptr<CompiledSource>& entry = known[{architecture, source}];
  if (!entry) entry = std::make_shared<CompiledSource>(api, source, architecture);
  return entry;
}

}  // namespace tenon::cuda
