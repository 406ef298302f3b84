#include "device/library_search.h"

#include <gmock/gmock.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

namespace tenon::device {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> candidates(const std::map<std::string, std::string>& variables) {
  return library_candidates({"libx.so.1", "TENON_X"}, [&](const char* name) {
    auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(LibrarySearch, TheChosenLibraryIsTheOnlyCandidate) {
  EXPECT_THAT(candidates({{"TENON_X", "/opt/x.so"}, {"CUDA_HOME", "/opt/cuda"}}),
              ElementsAre("/opt/x.so"));
}

TEST(LibrarySearch, LooksInTheUsualPlacesOnce) {
  std::vector<std::string> names =
      candidates({{"TENON_X", ""}, {"CUDA_HOME", "/opt/cuda"}, {"CUDA_PATH", "/opt/cuda"}});
  ASSERT_GE(names.size(), 4u);
  EXPECT_EQ(names[0], "libx.so.1");
  EXPECT_EQ(names[1], "/opt/cuda/lib64/libx.so.1");
  EXPECT_THAT(names, Contains("/usr/local/cuda/lib64/libx.so.1"));
  EXPECT_EQ(std::count(names.begin(), names.end(), names[1]), 1);
}

TEST(LibrarySearch, FindsTheWheelsOfTheActivePython) {
  std::string root = testing::TempDir() + "/tenon_venv_" + std::to_string(getpid());
  std::string folder = root + "/lib/python3.11/site-packages/nvidia/x/lib";
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/libx.so.1") << "no library";
  EXPECT_THAT(candidates({{"VIRTUAL_ENV", root}}), Contains(folder + "/libx.so.1"));
  std::filesystem::remove_all(root);
}

// The C library is on every machine.
TEST(LibrarySearch, OpensAndSaysWhere) {
  OpenedLibrary opened = open_library({"libc.so.6", ""}, [](void*) { return ""; });
  EXPECT_NE(opened.handle, nullptr);
  EXPECT_EQ(opened.path.front(), '/') << opened.path;
  EXPECT_EQ(opened.why, "");
}

TEST(LibrarySearch, SaysWhatWasTried) {
  auto accept = [](void*) { return std::string(); };
  OpenedLibrary absent = open_library({"libabsent.so.9", "TENON_ABSENT"}, accept);
  EXPECT_EQ(absent.handle, nullptr);
  EXPECT_THAT(absent.why, HasSubstr("/usr/local/cuda/lib64/libabsent.so.9"));
  EXPECT_THAT(absent.why, HasSubstr("TENON_ABSENT"));
  OpenedLibrary refused =
      open_library({"libc.so.6", ""}, [](void*) { return std::string("is too old"); });
  EXPECT_EQ(refused.handle, nullptr);
  EXPECT_THAT(refused.why, HasSubstr("is too old"));
}

TEST(LibrarySearch, SaysWhatTheLoaderSaidOfADamagedFile) {
  std::string path = testing::TempDir() + "/tenon_damaged_" + std::to_string(getpid()) + ".so";
  std::ofstream(path) << "no library";
  setenv("TENON_DAMAGED", path.c_str(), 1);
  auto accept = [](void*) { return std::string(); };
  OpenedLibrary damaged = open_library({"libx.so.1", "TENON_DAMAGED"}, accept);
  EXPECT_THAT(damaged.why, HasSubstr(path));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace tenon::device
