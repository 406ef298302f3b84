#pragma once

#include <nvrtc.h>

#include <string>
#include <string_view>
#include <vector>

namespace tenon::cuda {

inline constexpr std::string_view kNvrtcFile = "libnvrtc.so.13";

// The NVRTC functions in use: a compiler from CUDA C++ to machine code that needs no GPU. The
// library is opened at first use. TENON_NVRTC names it where it lies elsewhere.
struct Nvrtc {
  std::string path, builtins_path;  // where they were found
  int version = 0;                  // 13000 is 13.0
  decltype(&nvrtcVersion) get_version = nullptr;
  decltype(&nvrtcGetErrorString) error_string = nullptr;
  decltype(&nvrtcCreateProgram) create = nullptr;
  decltype(&nvrtcDestroyProgram) destroy = nullptr;
  decltype(&nvrtcCompileProgram) compile = nullptr;
  decltype(&nvrtcGetProgramLogSize) log_size = nullptr;
  decltype(&nvrtcGetProgramLog) log = nullptr;
  decltype(&nvrtcGetCUBINSize) cubin_size = nullptr;
  decltype(&nvrtcGetCUBIN) cubin = nullptr;
};

// Null where the library, or the one of built-in functions that belongs to it, is not found or of
// no use; `why` then says what was tried. That it compiles was tried: a library without its
// built-in functions fails at its first use.
const Nvrtc* nvrtc(std::string& why);

// Compiles one kernel source for one architecture ("sm_90a") into machine code. Throws
// ErrorCode::Internal with the compiler's log: the source is ours. Any number of threads.
std::vector<char> compile_cubin(const Nvrtc& api, const std::string& source,
                                std::string_view architecture);

}  // namespace tenon::cuda
