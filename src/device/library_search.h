#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::device {

// Finds vendor libraries at run time, so that nobody needs LD_LIBRARY_PATH.
struct LibrarySearch {
  std::string_view file;  // "libnvrtc.so.13"
  std::string_view
      chosen;  // the environment variable that names the library, and nothing else then
};

// The names to try, in order: the chosen one alone; or the bare name (which searches RPATH,
// LD_LIBRARY_PATH and the system's cache), $CUDA_HOME, $CUDA_PATH, /usr/local/cuda and its
// versions, the distribution's folder, and pip's CUDA wheels of the active Python and of the
// system's.
using Environment = std::function<const char*(const char* name)>;
std::vector<std::string> library_candidates(const LibrarySearch& search,
                                            const Environment& environment);

// An open library. `why` says what was tried where there is none.
struct OpenedLibrary {
  void* handle = nullptr;
  std::string path;  // where it really lies
  std::string why;
};
// Opens the first candidate that `accept` takes; it gets the handle and says what is wrong with it,
// "" for nothing.
OpenedLibrary open_library(const LibrarySearch& search,
                           const std::function<std::string(void* handle)>& accept);

// The file that holds the symbol, "" where nobody knows.
std::string file_of_symbol(const void* symbol);

}  // namespace tenon::device
