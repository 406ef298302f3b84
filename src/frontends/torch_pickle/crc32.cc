#include "frontends/torch_pickle/crc32.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/thread_pool.h"

namespace tenon::frontends {
namespace {

constexpr uint32_t kPolynomial = 0xEDB88320u;

// kTables[n][b]: the CRC of byte b followed by n zero bytes, so that 8 bytes cost 8 look-ups that
// do not wait for each other.
using Tables = std::array<std::array<uint32_t, 256>, 8>;
constexpr Tables make_tables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t n = 1; n < 8; ++n) {
    for (size_t byte = 0; byte < 256; ++byte) {
      uint32_t before = tables[n - 1][byte];
      tables[n][byte] = before >> 8 ^ tables[0][before & 255];
    }
  }
  return tables;
}
constexpr Tables kTables = make_tables();

uint32_t crc_of_part(std::span<const std::byte> bytes) {
  uint32_t crc = ~0u;
  const std::byte* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    word ^= crc;
    crc = 0;
    for (int i = 0; i < 8; ++i) crc ^= kTables[static_cast<size_t>(7 - i)][word >> (8 * i) & 255];
  }
  for (; left > 0; --left, ++at) {
    crc = crc >> 8 ^ kTables[0][(crc ^ static_cast<uint32_t>(*at)) & 255];
  }
  return ~crc;
}

// The product of two polynomials modulo the CRC's, in its reflected order of bits.
uint32_t multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
    if (a & bit) product ^= b;
    b = b >> 1 ^ (b & 1 ? kPolynomial : 0);
  }
  return product;
}

// x to the power 8 * bytes: what that many bytes that follow do to a CRC.
uint32_t shift_by(uint64_t bytes) {
  uint32_t power = 1u << 31, square = 1u << 23;  // x^0, x^8
  for (; bytes != 0; bytes >>= 1) {
    if (bytes & 1) power = multiply(power, square);
    square = multiply(square, square);
  }
  return power;
}

}  // namespace

uint32_t crc32(std::span<const std::byte> bytes) {
  constexpr int64_t kPart = 4 << 20;
  int64_t size = static_cast<int64_t>(bytes.size());
  if (size <= kPart) return crc_of_part(bytes);
  int64_t parts = (size + kPart - 1) / kPart;
  std::vector<uint32_t> crcs(static_cast<size_t>(parts));
  auto part = [&](int64_t i) {
    return bytes.subspan(static_cast<size_t>(i * kPart),
                         static_cast<size_t>(std::min(kPart, size - i * kPart)));
  };
  process_thread_pool().parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) crcs[static_cast<size_t>(i)] = crc_of_part(part(i));
  });
  uint32_t shift = shift_by(kPart), crc = 0;
  for (int64_t i = 0; i < parts; ++i) {
    uint64_t bytes_here = part(i).size();
    uint32_t by = bytes_here == static_cast<uint64_t>(kPart) ? shift : shift_by(bytes_here);
    crc = multiply(by, crc) ^ crcs[static_cast<size_t>(i)];
  }
  return crc;
}

}  // namespace tenon::frontends
