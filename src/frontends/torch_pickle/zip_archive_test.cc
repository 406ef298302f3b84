#include "frontends/torch_pickle/zip_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "frontends/torch_pickle/torch_test_files.h"

namespace tenon::frontends {
namespace {

using testing::HasSubstr;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(Crc32, EqualsPublishedValues) {
  EXPECT_EQ(crc_of(""), 0u);
  EXPECT_EQ(crc_of("123456789"), 0xCBF43926u);
  EXPECT_EQ(crc_of(std::string(32, '\xFF')), 0xFF6CAB0Bu);
}

TEST(Crc32, PartsOfLongDataJoin) {
  std::string data(9 << 20, 'a');
  for (size_t i = 0; i < data.size(); i += 997) data[i] = static_cast<char>(i * 31);
  // The definition, a bit at a time.
  uint32_t crc = ~0u;
  for (char c : data) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  EXPECT_EQ(crc_of(data), ~crc);
}

TEST(ZipArchive, FindsStoredRecords) {
  for (bool zip64 : {false, true}) {
    std::string file = zip_bytes({{"a/b", "hello"}, {"a/c", ""}, {"d", "x"}}, {.zip64 = zip64});
    ZipArchive archive(bytes_of(file));
    ASSERT_EQ(archive.records().size(), 3u);
    const ZipRecord* record = archive.find("a/b");
    ASSERT_NE(record, nullptr);
    std::span<const std::byte> data = archive.data(*record);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(data.data()), data.size()), "hello");
    EXPECT_NO_THROW(archive.verify(*record));
    EXPECT_EQ(archive.find("a"), nullptr);
  }
}

TEST(ZipArchive, AnEmptyArchiveIsOne) {
  EXPECT_TRUE(ZipArchive(bytes_of(zip_bytes({}))).records().empty());
}

// What a streaming writer leaves out of the local header stands in the directory.
TEST(ZipArchive, SizesMayFollowTheData) {
  ForgedRecord record{"a", "data"};
  record.flags = 0x0808;
  record.local_size = 0;
  std::string file = zip_bytes({record});
  EXPECT_EQ(ZipArchive(bytes_of(file)).records()[0].size, 4);
}

TEST(ZipArchive, EveryTruncationIsRefused) {
  std::string file = zip_bytes({{"a/b", "hello"}, {"c", "x"}}, {.zip64 = true});
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_THROW(ZipArchive(bytes_of(file.substr(0, size))), Error) << size;
  }
}

// One changed bit in a header must not lead to other names, places or sizes, except where no reader
// looks: times, attributes, versions.
TEST(ZipArchive, ABitFlipNeverMovesARecord) {
  std::string good = zip_bytes({{"a/b", "hello"}, {"c", "x"}}, {.zip64 = true});
  ZipArchive wanted(bytes_of(good));
  int accepted = 0;
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string file = good;
    file[bit / 8] = static_cast<char>(file[bit / 8] ^ 1 << bit % 8);
    try {
      ZipArchive archive(bytes_of(file));
      ASSERT_EQ(archive.records().size(), 2u);
      for (size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(archive.records()[i].begin, wanted.records()[i].begin);
        EXPECT_EQ(archive.records()[i].size, wanted.records()[i].size);
        EXPECT_EQ(archive.records()[i].name, wanted.records()[i].name);
      }
      ++accepted;
    } catch (const Error& error) {
      EXPECT_EQ(error.code() == ErrorCode::BadInput || error.code() == ErrorCode::Unsupported,
                true);
    }
  }
  EXPECT_LT(accepted, static_cast<int>(good.size()) * 8 / 3);
}

TEST(ZipArchive, AWrongChecksumIsFoundWhenTheDataAreWanted) {
  std::string file = zip_bytes({{"a", "hello"}});
  file[file.find("hello")] = 'j';
  ZipArchive archive(bytes_of(file));
  try {
    archive.verify(archive.records()[0]);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("record a"));
    EXPECT_THAT(error.what(), HasSubstr("checksum"));
  }
}

}  // namespace
}  // namespace tenon::frontends
