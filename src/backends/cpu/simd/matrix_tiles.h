#pragma once

#include <immintrin.h>

#include <cstdint>

// The registers of AMX: eight tiles of 16 rows x 64 bytes. Products go into tiles 0 to 3 (two
// halves of the rows times two halves of the columns), 4 and 5 hold halves of the rows of A, 6 and
// 7 halves of the columns of B.
namespace tenon::cpu::TENON_ISA {

constexpr int kHalf = 16;  // rows or columns of a tile
constexpr int kMatrixRows = 32, kMatrixColumns = 32;
constexpr int64_t kTileBytes = 64;  // of a row

struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t bytes[16] = {};  // of a row
  uint8_t rows[16] = {};
};

// A call sets its own shapes and leaves the registers clear: the system then saves nothing of them,
// and no thread has to know what another call left.
class TileScope {
 public:
  // Rows of the two halves (1 to 16), `step` bytes of k at once (a multiple of 4, at most 64).
  TileScope(int low_rows, int high_rows, int64_t step) {
    TileShapes shapes;
    for (int i = 0; i < 8; ++i) shapes.bytes[i] = kTileBytes;
    shapes.rows[0] = shapes.rows[1] = shapes.rows[4] = static_cast<uint8_t>(low_rows);
    shapes.rows[2] = shapes.rows[3] = shapes.rows[5] = static_cast<uint8_t>(high_rows);
    shapes.bytes[4] = shapes.bytes[5] = static_cast<uint16_t>(step);
    shapes.rows[6] = shapes.rows[7] = static_cast<uint8_t>(step / 4);
    // gcc 12's intrinsic says that it reads 8 bytes: the other stores would be dropped.
    asm volatile("" : : "r"(&shapes) : "memory");
    _tile_loadconfig(&shapes);
  }
  // The same for the rows of a whole tile of 32 x 32.
  TileScope(int rows, int64_t step)
      : TileScope(rows < kHalf ? rows : kHalf, rows > kHalf ? rows - kHalf : 1, step) {}
  ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

// Where the sums are: `at` [rows, pitch bytes], columns 16 to 31 behind 64 bytes.
struct TileSums {
  void* at;
  int64_t pitch;
};

template <bool two>
inline void clear_sums() {
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (two) {
    _tile_zero(2);
    _tile_zero(3);
  }
}

template <bool two>
inline void load_sums(const TileSums& sums) {
  auto* at = static_cast<char*>(sums.at);
  _tile_loadd(0, at, sums.pitch);
  _tile_loadd(1, at + kTileBytes, sums.pitch);
  if constexpr (two) {
    _tile_loadd(2, at + kHalf * sums.pitch, sums.pitch);
    _tile_loadd(3, at + kHalf * sums.pitch + kTileBytes, sums.pitch);
  }
}

template <bool two>
inline void store_sums(const TileSums& sums) {
  auto* at = static_cast<char*>(sums.at);
  _tile_stored(0, at, sums.pitch);
  _tile_stored(1, at + kTileBytes, sums.pitch);
  if constexpr (two) {
    _tile_stored(2, at + kHalf * sums.pitch, sums.pitch);
    _tile_stored(3, at + kHalf * sums.pitch + kTileBytes, sums.pitch);
  }
}

// What is multiplied: rows of A `a_pitch` bytes apart; B [k / 4 bytes, 32 columns, 4 bytes],
// `b_pitch` bytes from one to the next 4 bytes of k.
struct TileOperands {
  const char* a;
  int64_t a_pitch;
  const char* b;
  int64_t b_pitch;
};

// One step of k of pairs of bf16.
template <bool two>
inline void multiply_pairs(const TileOperands& at) {
  _tile_loadd(6, at.b, at.b_pitch);
  _tile_loadd(4, at.a, at.a_pitch);
  _tile_loadd(7, at.b + kTileBytes, at.b_pitch);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  if constexpr (two) {
    _tile_loadd(5, at.a + kHalf * at.a_pitch, at.a_pitch);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

}  // namespace tenon::cpu::TENON_ISA
