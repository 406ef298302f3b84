#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/thread_pool.h"

namespace tenon {
namespace {

TEST(Error, ComposesOneEscapedLine) {
  Error error = Error(ErrorCode::BadInput, "bad\nname")
                    .at("file")
                    .at("tensor \x1b[31m")
                    .got("1")
                    .accepted("2")
                    .fix("retry");
  EXPECT_STREQ(error.what(), "file: tensor \\x1b[31m: bad\\nname; got 1, accepted 2; fix: retry");
  error.within("folder");
  EXPECT_EQ(error.place(), "folder: file: tensor \\x1b[31m");
}

// 5 MiB and some bytes, in a folder of its own.
class LargeFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "tenon-large-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    for (size_t i = 0; i < (5 << 20) + 77; ++i) text_ += static_cast<char>(i * 31 + i / 4096);
    std::ofstream(path()) << text_;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path() const { return folder_ + "/file"; }

  std::string folder_, text_;
};

TEST_F(LargeFile, HasTheSameBytesInLargePages) {
  auto file = MappedFile::open(path());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file->bytes().data()) % (2 << 20), 0u);
  file->use_large_pages();
  std::string_view read(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  EXPECT_TRUE(read == text_);
  EXPECT_FALSE(file->damaged());
  file->verify_unchanged();
}

TEST_F(LargeFile, CutWhileItIsMappedIsZerosAndAnError) {
  auto file = MappedFile::open(path());
  file->use_large_pages();
  std::filesystem::resize_file(path(), 3 << 20);
  EXPECT_EQ(file->bytes()[1], static_cast<std::byte>(text_[1]));
  EXPECT_EQ(file->bytes()[(4 << 20) + 5], std::byte{0});
  EXPECT_TRUE(file->damaged());
  EXPECT_THROW(file->verify_unchanged(), Error);
  file->use_large_pages();  // of what is no longer there: no harm
}

TEST(Problems, ThrowsAllAtOnce) {
  Problems problems;
  problems.throw_if_any();
  problems.add(Error(ErrorCode::BadInput, "a"));
  problems.add(Error(ErrorCode::Unsupported, "b"));
  try {
    problems.throw_if_any();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadInput);
    EXPECT_STREQ(error.what(), "2 problems: a | b");
  }
}

TEST(Checked, RefusesOverflow) {
  EXPECT_EQ(checked_mul<int64_t>(3, 4, "x"), 12);
  EXPECT_THROW(checked_mul<int64_t>(INT64_MAX, 2, "x"), Error);
  EXPECT_THROW(checked_add<int64_t>(INT64_MAX, 1, "x"), Error);
  int64_t wraps[] = {1ll << 32, 1ll << 32, 0};
  EXPECT_THROW(checked_product(wraps, "x"), Error);
  int64_t empty[] = {2, 0};
  EXPECT_EQ(checked_product(empty, "x"), 0);
  EXPECT_THROW((checked_cast<int32_t>(1ll << 40, "x")), Error);
}

TEST(Text, NearestNames) {
  std::vector<std::string> names = {"model.norm.weight", "lm_head.weight", "model.embed.weight"};
  EXPECT_EQ(nearest_names("model.norm.weigth", names, 1),
            std::vector<std::string>{"model.norm.weight"});
  EXPECT_TRUE(nearest_names("zzzzzzzz", names).empty());
}

TEST(Text, Utf8) {
  EXPECT_TRUE(is_valid_utf8("h\xc3\xa9 \xf0\x9f\x98\x80"));
  EXPECT_FALSE(is_valid_utf8("\xed\xa0\x80"));
  EXPECT_FALSE(is_valid_utf8("\xc0\x80"));
  EXPECT_FALSE(is_valid_utf8("\xff"));
}

TEST(ThreadPool, CoversEveryIndexOnceAndRethrows) {
  ThreadPool pool(4);
  for (int repeat = 0; repeat < 200; ++repeat) {
    std::vector<std::atomic<int>> hits(1001);
    pool.parallel_for(1001, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) hits[i]++;
    });
    for (auto& hit : hits) ASSERT_EQ(hit.load(), 1);
  }
  EXPECT_THROW(pool.run([](int thread) {
    if (thread == 2) throw Error(ErrorCode::Internal, "x");
  }),
               Error);
}

}  // namespace
}  // namespace tenon
