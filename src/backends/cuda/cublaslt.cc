#include "backends/cuda/cublaslt.h"

#include <dlfcn.h>

#include "device/library_search.h"

namespace tenon::cuda {
namespace {

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
         find(handle, "cublasLtMatmulAlgoGetHeuristic", api.heuristic) &&
         find(handle, "cublasLtMatmulAlgoCheck", api.check_algorithm);
}

struct Loaded {
  CublasLt api;
  bool ok = false;
  std::string why;
};

Loaded load() {
  Loaded loaded;
  device::OpenedLibrary opened =
      device::open_library({kCublasLtFile, "TENON_CUBLASLT"}, [&](void* handle) {
        return std::string(find_all(handle, loaded.api) ? "" : "lacks functions of cuBLASLt 13");
      });
  loaded.ok = opened.handle != nullptr;
  loaded.api.path = opened.path;
  loaded.why = opened.why;
  return loaded;
}

}  // namespace

const CublasLt* cublaslt(std::string& why) {
  static const Loaded loaded = load();
  why = loaded.why;
  return loaded.ok ? &loaded.api : nullptr;
}

}  // namespace tenon::cuda
