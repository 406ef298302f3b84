#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::data {

// Reads the fields of one protobuf message in the order of the file. Borrows its bytes, allocates
// nothing and trusts nothing: every length is checked against what is left of the message. Nested
// messages are read by a reader over bytes(), so the caller's code bounds the depth.
class ProtoReader {
 public:
  // `place` names the message in errors.
  ProtoReader(std::string_view bytes, std::string place);

  // Moves to the next field, past the present one if it was not read. False at the end. Throws
  // ErrorCode::BadInput naming the byte where the message is malformed.
  bool next();

  uint32_t field() const { return field_; }
  // The present field's value; throws ErrorCode::BadInput where the field has another wire type.
  uint64_t varint() const;
  int64_t int64() const { return static_cast<int64_t>(varint()); }
  int32_t int32() const { return static_cast<int32_t>(varint()); }
  bool boolean() const { return varint() != 0; }
  float float32() const;
  double float64() const;
  std::string_view bytes() const;  // strings, bytes, messages and packed lists

 private:
  enum class Wire : uint8_t { Varint = 0, Fixed64 = 1, Length = 2, Fixed32 = 5 };
  uint64_t read_varint();
  std::string_view take(uint64_t count);
  void expect(Wire wire) const;
  [[noreturn]] void fail(std::string_view problem) const;

  std::string_view all_;
  size_t at_ = 0;
  std::string place_;
  uint32_t field_ = 0;
  Wire wire_ = Wire::Varint;
  uint64_t number_ = 0;    // of a varint
  std::string_view data_;  // of the other wire types
};

}  // namespace tenon::data
