#include "backends/cuda/fused/nvrtc.h"

#include <dlfcn.h>

#include <iterator>

#include "base/error.h"
#include "device/library_search.h"

namespace tenon::cuda {
namespace {

template <class Function>
bool find(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(handle, name));
  return function != nullptr;
}

bool find_all(void* handle, Nvrtc& api) {
  return find(handle, "nvrtcVersion", api.get_version) &&
         find(handle, "nvrtcGetErrorString", api.error_string) &&
         find(handle, "nvrtcCreateProgram", api.create) &&
         find(handle, "nvrtcDestroyProgram", api.destroy) &&
         find(handle, "nvrtcCompileProgram", api.compile) &&
         find(handle, "nvrtcGetProgramLogSize", api.log_size) &&
         find(handle, "nvrtcGetProgramLog", api.log) &&
         find(handle, "nvrtcGetCUBINSize", api.cubin_size) &&
         find(handle, "nvrtcGetCUBIN", api.cubin);
}

// NVRTC opens its built-in functions by their bare name. Opened here first, from beside it, they
// are found in any folder.
void open_builtins(Nvrtc& api) {
  std::string folder = api.path.substr(0, api.path.rfind('/') + 1);
  std::string name = folder + "libnvrtc-builtins.so." + std::to_string(api.version / 1000) + "." +
                     std::to_string(api.version % 1000 / 10);
  if (void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
    (void)handle;  // stays open with NVRTC
    api.builtins_path = name;
  }
}

struct Loaded {
  Nvrtc api;
  bool ok = false;
  std::string why;
};

Loaded load() {
  Loaded loaded;
  Nvrtc& api = loaded.api;
  device::OpenedLibrary opened =
      device::open_library({kNvrtcFile, "TENON_NVRTC"}, [&](void* handle) {
        return std::string(find_all(handle, api) ? "" : "lacks functions of NVRTC 13");
      });
  api.path = opened.path;
  loaded.why = opened.why;
  if (!opened.handle) return loaded;
  int major = 0, minor = 0;
  if (api.get_version(&major, &minor) == NVRTC_SUCCESS) api.version = 1000 * major + 10 * minor;
  open_builtins(api);
  try {
    compile_cubin(api, "extern \"C\" __global__ void probe() {}", "sm_80");
    loaded.ok = true;
  } catch (const Error& error) {
    loaded.why = api.path + " does not compile: " + error.got();
  }
  return loaded;
}

struct Program {
  const Nvrtc& api;
  nvrtcProgram program = nullptr;
  ~Program() {
    if (program) api.destroy(&program);
  }
};

std::string log_of(const Nvrtc& api, nvrtcProgram program) {
  size_t bytes = 0;
  if (api.log_size(program, &bytes) != NVRTC_SUCCESS || bytes < 2) return "";
  std::string text(bytes, '\0');
  if (api.log(program, text.data()) != NVRTC_SUCCESS) return "";
  text.pop_back();  // the zero byte
  return text;
}

}  // namespace

const Nvrtc* nvrtc(std::string& why) {
  static const Loaded loaded = load();
  why = loaded.why;
  return loaded.ok ? &loaded.api : nullptr;
}

std::vector<char> compile_cubin(const Nvrtc& api, const std::string& source,
                                std::string_view architecture) {
  Program owner{api};
  auto check = [&](nvrtcResult result, std::string_view what) {
    if (result == NVRTC_SUCCESS) return;
    std::string log = owner.program ? log_of(api, owner.program) : "";
    throw Error(ErrorCode::Internal, "NVRTC failed")
        .at(what)
        .got(std::string(api.error_string(result)) + (log.empty() ? "" : ": " + log));
  };
  check(api.create(&owner.program, source.c_str(), "fused.cu", 0, nullptr, nullptr), "create");
  std::string target = "--gpu-architecture=" + std::string(architecture);
  const char* options[] = {target.c_str(), "--std=c++17"};
  check(api.compile(owner.program, static_cast<int>(std::size(options)), options), architecture);
  size_t bytes = 0;
  check(api.cubin_size(owner.program, &bytes), "cubin");
  std::vector<char> cubin(bytes);
  check(api.cubin(owner.program, cubin.data()), "cubin");
  return cubin;
}

}  // namespace tenon::cuda
