#include "device/library_search.h"

#include <dlfcn.h>
#include <glob.h>
#include <link.h>

#include <algorithm>
#include <cstdlib>

#include "base/text.h"

namespace tenon::device {
namespace {

void add_matches(std::vector<std::string>& names, const std::string& pattern) {
  glob_t found{};
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) names.emplace_back(found.gl_pathv[i]);
  }
  globfree(&found);
}

std::string path_of(void* handle, const std::string& name) {
  link_map* map = nullptr;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || !map || !map->l_name[0]) return name;
  return map->l_name;
}

// A name with a folder that does not exist is no news; what the loader says of one that does is.
bool is_there(const std::string& name) {
  std::vector<std::string> found;
  add_matches(found, name);
  return !found.empty();
}

}  // namespace

std::vector<std::string> library_candidates(const LibrarySearch& search,
                                            const Environment& environment) {
  auto value = [&](std::string_view name) -> std::string {
    const char* text = environment(std::string(name).c_str());
    return text ? text : "";
  };
  std::string file(search.file);
  if (!search.chosen.empty()) {
    if (std::string chosen = value(search.chosen); !chosen.empty()) return {chosen};
  }
  std::vector<std::string> names = {file};
  auto add = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    if (std::string home = value(variable); !home.empty()) add(home + "/lib64/" + file);
  }
  add("/usr/local/cuda/lib64/" + file);
  add("/usr/lib/x86_64-linux-gnu/" + file);
  std::vector<std::string> more;
  add_matches(more, "/usr/local/cuda-*/lib64/" + file);
  std::string wheels = "/lib/python3*/site-packages/nvidia/*/lib/" + file;
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (std::string prefix = value(variable); !prefix.empty()) add_matches(more, prefix + wheels);
  }
  add_matches(more, "/usr/local/lib/python3*/*-packages/nvidia/*/lib/" + file);
  for (const std::string& name : more) add(name);
  return names;
}

OpenedLibrary open_library(const LibrarySearch& search,
                           const std::function<std::string(void* handle)>& accept) {
  std::vector<std::string> names = library_candidates(
      search, [](const char* name) { return static_cast<const char*>(std::getenv(name)); });
  OpenedLibrary opened;
  for (const std::string& name : names) {
    void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
      const char* said = dlerror();
      if (said && opened.why.empty() && is_there(name)) opened.why = said;
      continue;
    }
    std::string problem = accept(handle);
    if (problem.empty()) return {handle, path_of(handle, name), ""};
    opened.why = path_of(handle, name) + " " + problem;
    dlclose(handle);
  }
  if (opened.why.empty()) {
    opened.why = std::string(search.file) + " is not found: tried " + join(names, ", ");
    if (!search.chosen.empty()) opened.why += "; " + std::string(search.chosen) + " can name it";
  }
  return opened;
}

std::string file_of_symbol(const void* symbol) {
  Dl_info info{};
  if (!dladdr(symbol, &info) || !info.dli_fname) return "";
  return info.dli_fname;
}

}  // namespace tenon::device
