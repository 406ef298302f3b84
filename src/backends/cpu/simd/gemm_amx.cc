#include "backends/cpu/isa.h"
#include "backends/cpu/simd/matrix_tiles.h"

// Products of pairs of bf16 in blocks of 32 x 32. What decides is where operands lie: rows of w are
// whole tiles in L1, columns of x come past from L2, and sums are blocks of 4 KiB, since rows a
// power of two apart would fall into one cache set.
namespace tenon::cpu::TENON_ISA {
namespace {

constexpr int64_t kRow = kMatrixColumns * 4;  // bytes of sums from a row to the next
constexpr int64_t kHalfStep = kHalf * kTileBytes, kStepBytes = kMatrixRows * kTileBytes;
constexpr int64_t kHalfSums = kHalf * kRow, kSumBytes = kMatrixRows * kRow;
constexpr int64_t kStepElements = kTileBytes / 2;

void begin() {
  TileShapes shapes;
  for (int i = 0; i < 8; ++i) shapes.bytes[i] = kTileBytes, shapes.rows[i] = kHalf;
  // gcc 12's intrinsic says that it reads 8 bytes: the other stores would be dropped.
  asm volatile("" : : "r"(&shapes) : "memory");
  _tile_loadconfig(&shapes);
}

void end() {
  _tile_release();
}

// x is loaded so that it leaves in L1 what is there. `two`: of halves of the columns.
template <bool two>
inline void multiply_step(const char* w, const char* x) {
  _tile_loadd(4, w, kTileBytes);
  _tile_stream_loadd(6, x, kTileBytes);
  _tile_loadd(5, w + kHalfStep, kTileBytes);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(2, 5, 6);
  if constexpr (two) {
    _tile_stream_loadd(7, x + kHalfStep, kTileBytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
  }
}

// Tiles of sums begin at 0 or go on.
inline void begin_sums(const char* sums, bool load) {
  if (load) {
    _tile_loadd(0, sums, kRow);
    _tile_loadd(1, sums + kTileBytes, kRow);
    _tile_loadd(2, sums + kHalfSums, kRow);
    _tile_loadd(3, sums + kHalfSums + kTileBytes, kRow);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
}

// The last step of a block that another follows. Each tile of sums changes places with the next
// block's as soon as it is done, so that products go on meanwhile.
inline void change_sums(const char* w, const char* x, char* sums, bool load) {
  const char* next = sums + kSumBytes;
  _tile_stream_loadd(6, x, kTileBytes);
  _tile_loadd(4, w, kTileBytes);
  _tile_stream_loadd(7, x + kHalfStep, kTileBytes);
  _tile_loadd(5, w + kHalfStep, kTileBytes);
  _tile_dpbf16ps(0, 4, 6);
  _tile_stored(0, sums, kRow);
  if (load) _tile_loadd(0, next, kRow);
  _tile_dpbf16ps(1, 4, 7);
  _tile_stored(1, sums + kTileBytes, kRow);
  if (load) _tile_loadd(1, next + kTileBytes, kRow);
  _tile_dpbf16ps(2, 5, 6);
  _tile_stored(2, sums + kHalfSums, kRow);
  if (load) _tile_loadd(2, next + kHalfSums, kRow);
  _tile_dpbf16ps(3, 5, 7);
  _tile_stored(3, sums + kHalfSums + kTileBytes, kRow);
  if (load) _tile_loadd(3, next + kHalfSums + kTileBytes, kRow);
  if (!load) begin_sums(nullptr, false);
}

template <bool two>
inline void end_sums(const char* w, const char* x, char* sums) {
  multiply_step<two>(w, x);
  _tile_stored(0, sums, kRow);
  _tile_stored(2, sums + kHalfSums, kRow);
  if constexpr (two) {
    _tile_stored(1, sums + kTileBytes, kRow);
    _tile_stored(3, sums + kHalfSums + kTileBytes, kRow);
  }
}

// Lines of memory that are read soon, a few in each step.
class Fetch {
 public:
  Fetch(const PairTiles& work, int64_t steps)
      : rows_(work.fetch),
        left_(work.fetch_lines * kMatrixRows),
        share_((left_ + steps - 1) / steps),
        end_(work.fetch_lines * kTileBytes) {}

  void step() {
    for (int64_t i = 0; i < share_ && left_ > 0; ++i, --left_) {
      asm volatile("prefetcht1 %0" : : "m"(static_cast<const char*>(rows_[row_])[at_]));
      if ((at_ += kTileBytes) == end_) ++row_, at_ = 0;
    }
  }

 private:
  const void* const* rows_;
  int64_t left_, share_;
  int64_t row_ = 0, at_ = 0, end_;
};

// All steps of a block but the last. The next block's sums are fetched to be written.
template <bool two>
inline void multiply_steps(const PairTiles& work, const char* w, const char* x, const char* sums,
                           Fetch& fetch) {
  int64_t share = (kSumBytes / kTileBytes + work.steps - 1) / work.steps * kTileBytes;
  const char *next = sums + kSumBytes, *end = next + kSumBytes;
  for (int64_t step = 0; step + 1 < work.steps; ++step, w += kStepBytes, x += kStepBytes) {
    multiply_step<two>(w, x);
    fetch.step();
    for (int64_t i = 0; i < share && next < end; i += kTileBytes, next += kTileBytes)
      asm volatile("prefetchw %0" : : "m"(*next));
  }
}

void multiply(const PairTiles& work) {
  auto *w = static_cast<const char*>(work.w), *x = static_cast<const char*>(work.x);
  auto* sums = reinterpret_cast<char*>(work.c);
  int64_t blocks = (work.columns + kMatrixColumns - 1) / kMatrixColumns, last = work.steps - 1;
  int64_t pitch = work.steps * kStepBytes;
  Fetch fetch(work, blocks * work.steps);
  begin_sums(sums, work.accumulate);
  for (int64_t block = 0; block + 1 < blocks; ++block, x += pitch, sums += kSumBytes) {
    multiply_steps<true>(work, w, x, sums, fetch);
    fetch.step();
    change_sums(w + last * kStepBytes, x + last * kStepBytes, sums, work.accumulate);
  }
  auto finish = [&]<bool two>() {
    multiply_steps<two>(work, w, x, sums, fetch);
    fetch.step();
    end_sums<two>(w + last * kStepBytes, x + last * kStepBytes, sums);
  };
  bool half = work.columns - (blocks - 1) * kMatrixColumns <= kHalf;
  half ? finish.template operator()<false>() : finish.template operator()<true>();
}

void pack_w(const void* const* rows, int64_t elements, int64_t steps, void* to) {
  int64_t whole = elements < steps * kStepElements ? elements / kStepElements : steps;
  for (int64_t row = 0; row < kMatrixRows; ++row) {
    auto* from = static_cast<const char*>(rows[row]);
    auto* at = static_cast<char*>(to) + row * kTileBytes;
    for (int64_t step = 0; step < whole; ++step)
      _mm512_store_si512(at + step * kStepBytes, _mm512_loadu_si512(from + step * kTileBytes));
    for (int64_t step = whole; step < steps; ++step) {
      int64_t left = elements - step * kStepElements;
      auto lanes = left > 0 ? static_cast<__mmask32>((uint32_t{1} << left) - 1) : __mmask32{0};
      _mm512_store_si512(at + step * kStepBytes,
                         _mm512_maskz_loadu_epi16(lanes, from + step * kTileBytes));
    }
  }
}

// Numbers 4 `part` to 4 `part` + 3 of rows first, first + 4, + 8 and + 12.
inline __m512 gather_quarters(const void* const* rows, int64_t at) {
  auto quarter = [&](int row) {
    return _mm_loadu_ps(reinterpret_cast<const float*>(static_cast<const char*>(rows[row]) + at));
  };
  __m512 v = _mm512_castps128_ps512(quarter(0));
  v = _mm512_insertf32x4(v, quarter(4), 1);
  v = _mm512_insertf32x4(v, quarter(8), 2);
  return _mm512_insertf32x4(v, quarter(12), 3);
}

// 16 x 16 numbers of 4 bytes. Loads put the quarters of a row into their lanes, which leaves half
// of the shuffles.
void pack_x(const void* const* rows, int64_t bytes, void* to) {
  auto put = [&](int64_t unit, __m512d value) {
    _mm512_store_pd(static_cast<char*>(to) + unit * kTileBytes, value);
  };
#pragma GCC unroll 4
  for (int part = 0; part < 4; ++part) {
    __m512 r[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) r[i] = gather_quarters(rows + i, bytes + part * 16);
    __m512d low01 = _mm512_castps_pd(_mm512_unpacklo_ps(r[0], r[1]));
    __m512d high01 = _mm512_castps_pd(_mm512_unpackhi_ps(r[0], r[1]));
    __m512d low23 = _mm512_castps_pd(_mm512_unpacklo_ps(r[2], r[3]));
    __m512d high23 = _mm512_castps_pd(_mm512_unpackhi_ps(r[2], r[3]));
    put(part * 4, _mm512_unpacklo_pd(low01, low23));
    put(part * 4 + 1, _mm512_unpackhi_pd(low01, low23));
    put(part * 4 + 2, _mm512_unpacklo_pd(high01, high23));
    put(part * 4 + 3, _mm512_unpackhi_pd(high01, high23));
  }
}

}  // namespace

const PairTileKernels kPairTiles = {
    .begin = begin, .end = end, .pack_w = pack_w, .pack_x = pack_x, .multiply = multiply};

}  // namespace tenon::cpu::TENON_ISA
