#include "data/protobuf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon::data {
namespace {

using std::literals::string_literals::operator""s;
using testing::HasSubstr;

std::string message_of(const std::string& bytes) {
  try {
    ProtoReader reader(bytes, "m");
    while (reader.next()) {
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::BadInput);
    return error.what();
  }
  return "no error";
}

TEST(ProtoReader, ReadsEveryWireType) {
  // 1: 300, 2: "ab", 3: 1.5f, 4: 2.5, 5: -1
  std::string bytes = "\x08\xAC\x02\x12\x02"s + "ab" + "\x1D\x00\x00\xC0\x3F"s +
                      "\x21\x00\x00\x00\x00\x00\x00\x04\x40"s +
                      "\x28\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"s;
  ProtoReader reader(bytes, "m");
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.field(), 1u);
  EXPECT_EQ(reader.varint(), 300u);
  EXPECT_TRUE(reader.boolean());
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.field(), 2u);
  EXPECT_EQ(reader.bytes(), "ab");
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.float32(), 1.5f);
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.float64(), 2.5);
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.int32(), -1);
  EXPECT_EQ(reader.int64(), -1);
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.next());
}

TEST(ProtoReader, AnEmptyMessageHasNoFields) {
  EXPECT_FALSE(ProtoReader("", "m").next());
}

TEST(ProtoReader, ReadsBytesOfLengthNought) {
  std::string bytes = "\x0A\x00"s;
  ProtoReader reader(bytes, "m");
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.bytes(), "");
}

TEST(ProtoReader, RefusesWhatIsMalformed) {
  EXPECT_THAT(message_of("\x08"s), HasSubstr("ends inside a number"));
  EXPECT_THAT(message_of("\x08\x80"s), HasSubstr("ends inside a number"));
  EXPECT_THAT(message_of("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"s),
              HasSubstr("more than 64 bits"));
  EXPECT_THAT(message_of("\x12\x05"s + "abcd"), HasSubstr("longer than its message"));
  EXPECT_THAT(message_of("\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"s),
              HasSubstr("longer than its message"));
  EXPECT_THAT(message_of("\x1D\x00\x00"s), HasSubstr("longer than its message"));
  EXPECT_THAT(message_of("\x00\x00"s), HasSubstr("field number"));
  for (char wire : {3, 4, 6, 7}) {
    EXPECT_THAT(message_of(std::string(1, static_cast<char>(8 | wire)) + "aaaaaaaa"),
                HasSubstr("unknown wire type"));
  }
  EXPECT_THAT(message_of("\x08\x01\x12\x05"s), HasSubstr("byte 4"));
}

TEST(ProtoReader, RefusesAnotherWireTypeThanAskedFor) {
  std::string bytes = "\x08\x01"s;
  ProtoReader reader(bytes, "model");
  ASSERT_TRUE(reader.next());
  EXPECT_THROW(reader.bytes(), Error);
  EXPECT_THROW(reader.float32(), Error);
  EXPECT_THROW(reader.float64(), Error);
  std::string text = "\x0A\x01\x61"s;
  ProtoReader other(text, "model");
  ASSERT_TRUE(other.next());
  EXPECT_THROW(other.varint(), Error);
}

}  // namespace
}  // namespace tenon::data
