#include "data/protobuf.h"

#include <bit>
#include <cstring>

#include "base/error.h"

namespace tenon::data {
namespace {

static_assert(std::endian::native == std::endian::little, "fixed fields are little-endian");

template <class T>
T load(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace

ProtoReader::ProtoReader(std::string_view bytes, std::string place)
    : all_(bytes), place_(std::move(place)) {}

void ProtoReader::fail(std::string_view problem) const {
  throw Error(ErrorCode::BadInput, problem).at(place_).at("byte " + std::to_string(at_));
}

uint64_t ProtoReader::read_varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (at_ == all_.size()) fail("protobuf message ends inside a number");
    auto byte = static_cast<uint8_t>(all_[at_++]);
    if (shift == 63 && byte > 1) break;
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  fail("protobuf number has more than 64 bits");
}

std::string_view ProtoReader::take(uint64_t count) {
  if (count > all_.size() - at_) fail("protobuf field is longer than its message");
  std::string_view taken = all_.substr(at_, count);
  at_ += count;
  return taken;
}

bool ProtoReader::next() {
  if (at_ == all_.size()) return false;
  uint64_t key = read_varint();
  if (key >> 3 == 0 || key >> 3 >= 1u << 29) fail("protobuf field number out of range");
  field_ = static_cast<uint32_t>(key >> 3);
  wire_ = static_cast<Wire>(key & 7);
  switch (wire_) {
    case Wire::Varint:
      number_ = read_varint();
      return true;
    case Wire::Fixed64:
      data_ = take(8);
      return true;
    case Wire::Length:
      data_ = take(read_varint());
      return true;
    case Wire::Fixed32:
      data_ = take(4);
      return true;
  }
  fail("protobuf field has an unknown wire type");
}

void ProtoReader::expect(Wire wire) const {
  if (wire_ == wire) return;
  throw Error(ErrorCode::BadInput, "protobuf field has another wire type")
      .at(place_)
      .at("field " + std::to_string(field_))
      .got(std::to_string(static_cast<int>(wire_)))
      .accepted(std::to_string(static_cast<int>(wire)));
}

uint64_t ProtoReader::varint() const {
  expect(Wire::Varint);
  return number_;
}

float ProtoReader::float32() const {
  expect(Wire::Fixed32);
  return load<float>(data_);
}

double ProtoReader::float64() const {
  expect(Wire::Fixed64);
  return load<double>(data_);
}

std::string_view ProtoReader::bytes() const {
  expect(Wire::Length);
  return data_;
}

}  // namespace tenon::data
