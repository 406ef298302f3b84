#ifdef TENON_HAS_CUDA_BACKEND
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "backends/cuda/fused/kernel_cache.h"

namespace tenon::cuda {
namespace {

class CubinFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/tenon_cubins_" + std::to_string(getpid()) + "/a/b";
  }
  void TearDown() override {
    std::filesystem::remove_all(std::filesystem::path(folder_).parent_path().parent_path());
  }
  std::string only_file() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      names.push_back(entry.path());
    }
    EXPECT_EQ(names.size(), 1u);
    return names.at(0);
  }
  std::string folder_;
};

TEST_F(CubinFilesTest, GivesBackWhatWasWritten) {
  CubinFiles files(folder_);
  std::vector<char> code = {'c', 'o', 'd', 'e', '\0', '1'};
  std::string key = CubinFiles::key("source", "sm_90", 13000);
  EXPECT_TRUE(files.read(key).empty());
  files.write(key, code);
  EXPECT_EQ(files.read(key), code);
  struct stat status {};
  ASSERT_EQ(stat(folder_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST_F(CubinFilesTest, KeysTellSourceArchitectureAndCompilerApart) {
  std::string key = CubinFiles::key("source", "sm_90", 13000);
  EXPECT_NE(key, CubinFiles::key("source2", "sm_90", 13000));
  EXPECT_NE(key, CubinFiles::key("source", "sm_80", 13000));
  EXPECT_NE(key, CubinFiles::key("source", "sm_90", 13010));
  EXPECT_EQ(key, CubinFiles::key("source", "sm_90", 13000));
}

TEST_F(CubinFilesTest, ADamagedFileIsAsGoodAsNone) {
  CubinFiles files(folder_);
  std::string key = CubinFiles::key("source", "sm_90", 13000);
  std::vector<char> code(1000, 'x');
  files.write(key, code);
  auto size = static_cast<int>(std::filesystem::file_size(only_file()));
  for (int at = 0; at < size; at += 7) {
    files.write(key, code);
    std::fstream file(only_file(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file.put('#');
    file.close();
    EXPECT_TRUE(files.read(key).empty()) << at;
  }
  for (int length : {0, 7, 24, 500}) {
    files.write(key, code);
    std::filesystem::resize_file(only_file(), length);
    EXPECT_TRUE(files.read(key).empty()) << length;
  }
  files.write(key, code);
  EXPECT_EQ(files.read(key), code);
}

TEST_F(CubinFilesTest, WhatOthersMayWriteIsNotRead) {
  CubinFiles files(folder_);
  std::string key = CubinFiles::key("source", "sm_90", 13000);
  files.write(key, {'x'});
  chmod(only_file().c_str(), 0666);
  EXPECT_TRUE(files.read(key).empty());
  std::filesystem::rename(only_file(), folder_ + "/elsewhere");
  std::filesystem::create_symlink(folder_ + "/elsewhere", folder_ + "/" + key + ".cubin");
  EXPECT_TRUE(files.read(key).empty());
}

TEST_F(CubinFilesTest, NoFolderIsNoError) {
  for (const char* folder : {"", "/proc/tenon", "/dev/null/tenon"}) {
    CubinFiles files{std::string(folder)};
    files.write("key", {'x'});
    EXPECT_TRUE(files.read("key").empty()) << folder;
  }
}

TEST_F(CubinFilesTest, FollowsTheUsersCacheFolder) {
  const char* home = std::getenv("HOME");
  std::string kept = home ? home : "";
  setenv("XDG_CACHE_HOME", "/xdg", 1);
  EXPECT_EQ(CubinFiles().folder(), "/xdg/tenon");
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", "/home/x", 1);
  EXPECT_EQ(CubinFiles().folder(), "/home/x/.cache/tenon");
  unsetenv("HOME");
  EXPECT_EQ(CubinFiles().folder(), "");
  unsetenv("XDG_CACHE_HOME");
  if (home) setenv("HOME", kept.c_str(), 1);
}

}  // namespace
}  // namespace tenon::cuda
#endif
