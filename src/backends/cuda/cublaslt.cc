#include "backends/cuda/cublaslt.h"

#include <dlfcn.h>
#include <glob.h>

#include <cstdlib>
#include <vector>

#include "base/text.h"

namespace tenon::cuda {
namespace {

constexpr const char* kFile = "libcublasLt.so.13";

void add_matches(std::vector<std::string>& names, const std::string& pattern) {
  glob_t found{};
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) names.emplace_back(found.gl_pathv[i]);
  }
  globfree(&found);
}

std::vector<std::string> candidates() {
  if (const char* chosen = std::getenv("TENON_CUBLASLT"); chosen && *chosen) return {chosen};
  // The bare name first: it searches RPATH, LD_LIBRARY_PATH and the system's cache.
  std::vector<std::string> names = {kFile, std::string("/usr/local/cuda/lib64/") + kFile,
                                    std::string("/usr/lib/x86_64-linux-gnu/") + kFile};
  // pip's CUDA wheels of the active Python environment.
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    const char* prefix = std::getenv(variable);
    if (!prefix || !*prefix) continue;
    add_matches(names, std::string(prefix) + "/lib/python3*/site-packages/nvidia/*/lib/" + kFile);
  }
  add_matches(names, std::string("/usr/local/lib/python3*/*-packages/nvidia/*/lib/") + kFile);
  return names;
}

template <class Function>
bool find(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(handle, name));
  return function != nullptr;
}

bool find_all(void* handle, CublasLt& api) {
  return find(handle, "cublasLtCreate", api.create) &&
         find(handle, "cublasLtDestroy", api.destroy) &&
         find(handle, "cublasLtGetVersion", api.version) &&
         find(handle, "cublasLtGetStatusString", api.status_string) &&
         find(handle, "cublasLtMatmul", api.matmul) &&
         find(handle, "cublasLtMatmulDescCreate", api.desc_create) &&
         find(handle, "cublasLtMatmulDescDestroy", api.desc_destroy) &&
         find(handle, "cublasLtMatmulDescSetAttribute", api.desc_set) &&
         find(handle, "cublasLtMatrixLayoutCreate", api.layout_create) &&
         find(handle, "cublasLtMatrixLayoutDestroy", api.layout_destroy) &&
         find(handle, "cublasLtMatrixLayoutSetAttribute", api.layout_set) &&
         find(handle, "cublasLtMatmulPreferenceCreate", api.preference_create) &&
         find(handle, "cublasLtMatmulPreferenceDestroy", api.preference_destroy) &&
         find(handle, "cublasLtMatmulPreferenceSetAttribute", api.preference_set) &&
         find(handle, "cublasLtMatmulAlgoGetHeuristic", api.heuristic);
}

struct Loaded {
  CublasLt api;
  bool ok = false;
  std::string why;
};

Loaded load() {
  Loaded loaded;
  std::vector<std::string> names = candidates();
  for (const std::string& name : names) {
    void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) continue;
    if (find_all(handle, loaded.api)) {
      loaded.api.path = name;
      loaded.ok = true;
      return loaded;
    }
    loaded.why = name + " lacks functions of cuBLASLt 13";
    dlclose(handle);
  }
  if (loaded.why.empty()) loaded.why = "cuBLASLt is not found: tried " + join(names, ", ");
  return loaded;
}

}  // namespace

const CublasLt* cublaslt(std::string& why) {
  static const Loaded loaded = load();
  why = loaded.why;
  return loaded.ok ? &loaded.api : nullptr;
}

}  // namespace tenon::cuda
