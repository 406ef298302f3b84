#include "backends/cpu/isa.h"
#include "backends/cpu/simd/matrix_tiles.h"
#include "backends/cpu/simd/panel_results.h"
#include "backends/cpu/simd/prefetch.h"

// Products of rows of int8 codes with panels, in tiles of 32 x 32. The integers, and the order in
// which sums of groups are added in f32, are those of int8.cc: so the results are the same bits.
//
// What costs is what stands beside the products. A store of a tile holds up everything for 16
// cycles, and longer where its last product is not done; loads that follow it closely wait, too. So
// tiles are stored when the next product into them is about to begin, and what happens to their
// sums stands between the products after that.
namespace tenon::cpu::TENON_ISA {
namespace {

constexpr int64_t kUnitBytes = kPanel * 4;
constexpr int64_t kRowsTile = kHalf * kTileBytes;  // bytes of 16 rows and 64 inputs
constexpr int64_t kStepRows = 2 * kRowsTile, kStepCodes = kTileBytes * kPanel;
// Inputs of a panel that stay in L1 for all rows, and those of one pass where there is only one.
constexpr int64_t kPieceSteps = 16, kMostSteps = 22;
constexpr int64_t kGroupedInputs = kPieceSteps * kTileBytes;

// Sums or totals of 32 rows x 32 columns, tile by tile: (rows 0 to 15, columns 0 to 15), (..,
// columns 16 to 31), (rows 16 to 31, ..).
template <class Element>
struct alignas(64) Quarters {
  Element at[4][kHalf][kLanes];

  Element* row(int64_t index, int half) { return at[index / kHalf * 2 + half][index % kHalf]; }
};

void store_all(Quarters<int32_t>& to) {
  _tile_stored(0, to.at[0], kTileBytes);
  _tile_stored(1, to.at[1], kTileBytes);
  _tile_stored(2, to.at[2], kTileBytes);
  _tile_stored(3, to.at[3], kTileBytes);
}

// One product of tiles; codes of the weight are signed or not.
#define TENON_MULTIPLY(to, a, b) \
  if constexpr (is_signed) {     \
    _tile_dpbssd(to, a, b);      \
  } else {                       \
    _tile_dpbsud(to, a, b);      \
  }

template <bool two, bool is_signed>
__attribute__((always_inline)) inline void multiply(const char* a, const char* b) {
  _tile_loadd(6, b, kUnitBytes);
  _tile_stream_loadd(4, a, kTileBytes);
  _tile_loadd(7, b + kTileBytes, kUnitBytes);
  TENON_MULTIPLY(0, 4, 6)
  TENON_MULTIPLY(1, 4, 7)
  if constexpr (two) {
    _tile_stream_loadd(5, a + kRowsTile, kTileBytes);
    TENON_MULTIPLY(2, 5, 6)
    TENON_MULTIPLY(3, 5, 7)
  }
}

// The same into new sums; those before go to `old`. between(i) stands behind each product.
template <bool two, bool is_signed, class Between>
__attribute__((always_inline)) inline void begin_sums(const char* a, const char* b,
                                                      Quarters<int32_t>& old, Between between) {
  _tile_stream_loadd(4, a, kTileBytes);
  _tile_loadd(6, b, kUnitBytes);
  _tile_stored(0, old.at[0], kTileBytes);
  _tile_zero(0);
  TENON_MULTIPLY(0, 4, 6)
  between(0);
  _tile_loadd(7, b + kTileBytes, kUnitBytes);
  _tile_stored(1, old.at[1], kTileBytes);
  _tile_zero(1);
  TENON_MULTIPLY(1, 4, 7)
  between(1);
  if constexpr (two) {
    _tile_stream_loadd(5, a + kRowsTile, kTileBytes);
    _tile_stored(2, old.at[2], kTileBytes);
    _tile_zero(2);
    TENON_MULTIPLY(2, 5, 6)
    between(2);
    _tile_stored(3, old.at[3], kTileBytes);
    _tile_zero(3);
    TENON_MULTIPLY(3, 5, 7)
    between(3);
  }
}
#undef TENON_MULTIPLY

// Memory that is read next, fetched evenly, as four streams: what a core fetches on its own where
// it sees a stream is more than it has requests for.
class Fetch {
 public:
  Fetch(const void* from, int64_t bytes, int64_t steps)
      : at_(static_cast<const char*>(from)),
        stream_(bytes / kStreams / 64 * 64),
        lines_((stream_ / 64 + steps - 1) / steps) {}
  void step() {
    for (int64_t i = 0; i < lines_; ++i, at_ += 64) {
      for (int stream = 0; stream < kStreams; ++stream) fetch_into_l2(at_ + stream * stream_);
    }
  }

 private:
  static constexpr int kStreams = 4;
  const char* at_;
  int64_t stream_, lines_;  // lines of a stream at a step
};

int64_t blocks_of(const MatrixPanel& panel) {
  return (panel.rows + panel.block_rows - 1) / panel.block_rows;
}
int64_t rows_in(const MatrixPanel& panel, int64_t block) {
  int64_t left = panel.rows - block * panel.block_rows;
  return left < panel.block_rows ? left : panel.block_rows;
}
TileScope shapes_of(const MatrixPanel& panel, int64_t step) {
  int high = panel.block_rows > kHalf ? panel.block_rows - kHalf : 1;
  return TileScope(panel.block_rows < kHalf ? panel.block_rows : kHalf, high, step);
}

// ---- One group: integers of all pieces are added, then become numbers.

// The sums of a block of rows and what is left to do with them, a few rows at each step.
class WholeSums {
 public:
  explicit WholeSums(const MatrixPanel& panel)
      : panel_(panel), kept_(static_cast<Quarters<int32_t>*>(panel.sums)) {
    for (int half = 0; half < 2; ++half) {
      scales_[half] = scales_at(panel.scales, half * kLanes);
      zeros_[half] = _mm512_setzero_si512();
      if (!panel.scales.zeros) continue;
      auto* from = reinterpret_cast<const __m128i*>(panel.scales.zeros + half * kLanes);
      zeros_[half] = _mm512_cvtepu8_epi32(_mm_loadu_si128(from));
    }
  }

  // Where the tiles of the block that was multiplied last go.
  Quarters<int32_t>& target() { return keeps_ ? kept_[next_] : stored_; }
  // They are there now.
  void begin() {
    block_ = next_;
    row_ = keeps_ ? kPanel : 0;  // of the first piece all is done
    adds_ = !first_, finishes_ = last_;
  }
  // What the tiles are multiplied for now.
  void next(int64_t block, bool first, bool last) {
    next_ = block, first_ = first, last_ = last, keeps_ = first && !last;
  }
  void work(int64_t rows) {
    if (row_ >= kPanel) return;
    int64_t end = row_ + rows < kPanel ? row_ + rows : kPanel, count = rows_in(panel_, block_);
    if (end > count) end = count;
    if (!finishes_) {
      add_rows(end);
    } else if (panel_.scales.zeros) {
      finish_rows<true>(end);
    } else {
      finish_rows<false>(end);
    }
    if (row_ < count) return;
    row_ = kPanel;
    if (finishes_ && waits()) waiting_.finish(panel_.results, block_ * panel_.block_rows, count);
  }

 private:
  bool waits() const { return panel_.results.activation != Activation::None; }
  __m512i sum(Quarters<int32_t>& kept, int64_t row, int half) {
    __m512i sum = _mm512_load_si512(stored_.row(row, half));
    return adds_ ? _mm512_add_epi32(sum, _mm512_load_si512(kept.row(row, half))) : sum;
  }
  void add_rows(int64_t end) {
    Quarters<int32_t>& kept = kept_[block_];
    for (; row_ < end; ++row_) {
      for (int half = 0; half < 2; ++half)
        _mm512_store_si512(kept.row(row_, half), sum(kept, row_, half));
    }
  }
  // What is taken off a row's sums, or what zeros are multiplied by.
  template <bool has_zeros>
  int32_t offset_of(int64_t row) const {
    int32_t sum = panel_.x_sums[row];
    return has_zeros ? sum : sum * panel_.scales.middle;
  }
  template <bool has_zeros>
  void finish_rows(int64_t end) {
    Quarters<int32_t>& kept = kept_[block_];
    for (; row_ < end; ++row_) {
      int64_t row = block_ * panel_.block_rows + row_;
      F scale = set(panel_.x_scales[row]);
      F numbers[2];
      for (int half = 0; half < 2; ++half) {
        __m512i offset = _mm512_set1_epi32(offset_of<has_zeros>(row));
        if constexpr (has_zeros) offset = _mm512_mullo_epi32(zeros_[half], offset);
        __m512i whole = _mm512_sub_epi32(sum(kept, row_, half), offset);
        numbers[half] = mul(mul(_mm512_cvtepi32_ps(whole), scales_[half]), scale);
      }
      ResultRow result = with_bias(panel_.results, {numbers[0], numbers[1]});
      if (waits()) {
        waiting_.put(row_, result);
      } else {
        finish_row(panel_.results, row, result);
      }
    }
  }

  const MatrixPanel& panel_;
  Quarters<int32_t>* kept_;  // [blocks]
  F scales_[2];
  __m512i zeros_[2];
  int64_t block_ = 0, next_ = 0, row_ = kPanel;
  bool adds_ = false, finishes_ = false, first_ = false, last_ = false, keeps_ = false;
  Quarters<int32_t> stored_;
  WaitingRows waiting_;
};

// What lies behind a step of 64 inputs may not be ours to read: half a step is copied.
struct alignas(64) LastStep {
  char codes[kStepCodes];

  explicit LastStep(const char* from) {
    for (int64_t i = 0; i < kStepCodes; i += 64) {
      _mm512_store_si512(
          codes + i, i < kStepCodes / 2 ? _mm512_loadu_si512(from + i) : _mm512_setzero_si512());
    }
  }
};

template <bool two>
void run_whole(const MatrixPanel& panel) {
  int64_t steps = (panel.inputs + kTileBytes - 1) / kTileBytes, blocks = blocks_of(panel);
  int64_t pieces = steps <= kMostSteps ? 1 : (steps + kPieceSteps - 1) / kPieceSteps;
  auto* codes = reinterpret_cast<const char*>(panel.codes);
  auto* x = reinterpret_cast<const char*>(panel.x);
  LastStep last_step(codes + (steps - 1) * kStepCodes);
  bool is_cut = panel.inputs % kTileBytes != 0;
  WholeSums sums(panel);
  TileScope scope = shapes_of(panel, kTileBytes);
  for (int64_t piece = 0, first = 0; piece < pieces; ++piece) {
    int64_t end = steps * (piece + 1) / pieces, count = end - first;
    bool last = piece + 1 == pieces;
    const char* b = codes + first * kStepCodes;
    Fetch fetch(last ? panel.next : b + count * kStepCodes, count * kStepCodes, count * blocks);
    auto codes_at = [&](int64_t step) {
      return is_cut && step + 1 == steps ? last_step.codes : codes + step * kStepCodes;
    };
    int64_t rows = kPanel / (count > 2 ? count - 1 : 1) + 1;
    for (int64_t block = 0; block < blocks; ++block) {
      const char* a = x + (block * steps + first) * kStepRows;
      fetch.step();
      begin_sums<two, false>(a, codes_at(first), sums.target(), [](int) {});
      if (piece > 0 || block > 0) sums.begin();
      sums.next(block, piece == 0, last);
      for (int64_t step = first + 1; step < end; ++step) {
        fetch.step();
        multiply<two, false>(a += kStepRows, codes_at(step));
        sums.work(rows);
      }
      sums.work(kPanel);
    }
    first = end;
  }
  store_all(sums.target());
  sums.begin();
  sums.work(kPanel);
}

// ---- Several groups: the sums of each become numbers, which are added.

// The sums of a group of a block of rows.
struct GroupSums {
  int64_t group = 0, block = -1;
  bool begins = false, ends = false;  // the piece
  bool first_piece = false, last_piece = false;
};

class GroupTotals {
 public:
  explicit GroupTotals(const MatrixPanel& panel)
      : panel_(panel), kept_(static_cast<Quarters<float>*>(panel.sums)) {}

  // totals += sums times scales, of one tile. At the end of a piece totals are multiplied by the
  // scales of the rows and added to those before.
  __attribute__((always_inline)) void add_scaled(const GroupSums& of, const Quarters<int32_t>& sums,
                                                 int quarter) {
    F scale = scales_at(panel_.scales, of.group * kPanel + quarter % 2 * kLanes);
    auto& from = sums.at[quarter];
    auto& to = totals_.at[quarter];
    if (of.ends) return end_piece(of, from, scale, quarter);
    if (of.begins) {
#pragma GCC unroll 16
      for (int i = 0; i < kHalf; ++i) store(to[i], fma(number(from[i]), scale, zero()));
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < kHalf; ++i) store(to[i], fma(number(from[i]), scale, load(to[i])));
    }
  }
  // All pieces of a block are in its totals.
  void finish(int64_t block) {
    int64_t rows = rows_in(panel_, block), from = block * panel_.block_rows;
    bool waits = panel_.results.activation != Activation::None;
    for (int64_t i = 0; i < rows; ++i) {
      ResultRow row = {load(totals_.row(i, 0)), load(totals_.row(i, 1))};
      row = with_bias(panel_.results, row);
      if (waits) {
        waiting_.put(i, row);
      } else {
        finish_row(panel_.results, from + i, row);
      }
    }
    if (waits) waiting_.finish(panel_.results, from, rows);
  }

 private:
  static F number(const int32_t* sums) {
    return _mm512_cvtepi32_ps(_mm512_load_si512(sums));
  }

  __attribute__((noinline)) void end_piece(const GroupSums& of,
                                           const int32_t (&from)[kHalf][kLanes], F scale,
                                           int quarter) {
    auto& totals = totals_.at[quarter];
    auto& kept = kept_[of.block].at[quarter];
    auto& to = of.last_piece ? totals : kept;
    const float* scales = panel_.x_scales + of.block * panel_.block_rows + quarter / 2 * kHalf;
#pragma GCC unroll 4
    for (int i = 0; i < kHalf; ++i) {
      F total = fma(number(from[i]), scale, of.begins ? zero() : load(totals[i]));
      F row = set(scales[i]);
      store(to[i], of.first_piece ? mul(total, row) : fma(total, row, load(kept[i])));
    }
  }

  const MatrixPanel& panel_;
  Quarters<float>* kept_;  // [blocks]
  Quarters<float> totals_;
  WaitingRows waiting_;
};

// Tiles hold the sums of one group while those of the group before are in memory, and those of the
// one before that become numbers.
template <bool two>
class Groups {
 public:
  explicit Groups(const MatrixPanel& panel)
      : panel_(panel),
        step_(panel.scales.units % 16 == 0 ? kTileBytes : kTileBytes / 2),
        steps_(panel.scales.units * 4 / step_),
        totals_(panel) {}

  void run() {
    int64_t group = panel_.scales.units * 4, blocks = blocks_of(panel_);
    int64_t steps = (panel_.inputs + kTileBytes - 1) / kTileBytes;
    auto* x = reinterpret_cast<const char*>(panel_.x);
    TileScope scope = shapes_of(panel_, step_);
    for (int64_t first = 0; first < panel_.inputs; first += kGroupedInputs) {
      int64_t left = panel_.inputs - first;
      int64_t inputs = left < kGroupedInputs ? left : kGroupedInputs;
      const uint8_t* codes = panel_.codes + first * kPanel / 2;
      PanelScales scales = part_of(first / group, inputs / group);
      unpack_signed(codes, scales, panel_.unpacked);
      Fetch fetch(inputs < left ? codes + inputs * kPanel / 2 : panel_.next, inputs * kPanel / 2,
                  blocks * scales.groups);
      for (int64_t block = 0; block < blocks; ++block) {
        multiply_block(x + (block * steps * kTileBytes + first) * kPanel, block, first / group,
                       scales.groups, fetch);
      }
    }
    add_group(nullptr, {});
    add_group(nullptr, {});
  }

 private:
  PanelScales part_of(int64_t first, int64_t groups) const {
    PanelScales part = panel_.scales;
    part.groups = groups;
    if (part.zeros) part.zeros += first * kPanel;
    return part;
  }

  void multiply_block(const char* a, int64_t block, int64_t first, int64_t groups, Fetch& fetch) {
    auto* b = reinterpret_cast<const char*>(panel_.unpacked);
    for (int64_t group = 0; group < groups; ++group) {
      fetch.step();
      a_ = a, b_ = b;
      int64_t index = first + group;
      add_group(a, {index, block, group == 0, group + 1 == groups, first == 0,
                    first + groups == panel_.scales.groups});
      for (int64_t step = 0; step < steps_; ++step) {
        if (step > 0) multiply<two, true>(a, b);
        // Half a step is the other half of 64 bytes of a row next time.
        bool odd = reinterpret_cast<uintptr_t>(a) & (kTileBytes / 2);
        a += step_ == kTileBytes ? kStepRows : odd ? kStepRows - step_ : step_;
        b += step_ * kPanel;
      }
    }
  }

  // The first product of a group, or none behind the last one.
  __attribute__((always_inline)) void add_group(const char* a, const GroupSums& next) {
    Quarters<int32_t>&to = stored_[slot_], &from = stored_[slot_ ^ 1];
    GroupSums older = stored_is_;
    if (a) {
      begin_sums<two, true>(
          a, b_, to, [&](int quarter) __attribute__((always_inline)) {
            if (older.block >= 0) totals_.add_scaled(older, from, quarter);
          });
    } else {
      store_all(to);
      for (int quarter = 0; quarter < (two ? 4 : 2) && older.block >= 0; ++quarter)
        totals_.add_scaled(older, from, quarter);
    }
    if (older.ends && older.last_piece) totals_.finish(older.block);
    stored_is_ = in_tiles_, in_tiles_ = next, slot_ ^= 1;
  }

  const MatrixPanel& panel_;
  int64_t step_, steps_;  // bytes of a product, products of a group
  const char *a_ = nullptr, *b_ = nullptr;
  GroupSums in_tiles_, stored_is_;
  int slot_ = 0;
  Quarters<int32_t> stored_[2];
  GroupTotals totals_;

  // 32 columns of one unit: bytes less the zeros of their columns.
  static void unpack_signed(const uint8_t* codes, const PanelScales& scales, int8_t* to);
};

template <bool two>
void Groups<two>::unpack_signed(const uint8_t* codes, const PanelScales& scales, int8_t* to) {
  __m512i mask = _mm512_set1_epi8(15),
          spread = _mm512_setr_epi32(0x00000000, 0x01010101, 0x02020202, 0x03030303, 0x04040404,
                                     0x05050505, 0x06060606, 0x07070707, 0x08080808, 0x09090909,
                                     0x0A0A0A0A, 0x0B0B0B0B, 0x0C0C0C0C, 0x0D0D0D0D, 0x0E0E0E0E,
                                     0x0F0F0F0F);
  __m512i zeros[2];
  zeros[0] = zeros[1] = _mm512_set1_epi8(static_cast<char>(scales.middle));
  for (int64_t group = 0; group < scales.groups; ++group) {
    for (int half = 0; half < 2 && scales.zeros; ++half) {
      auto* from = reinterpret_cast<const __m128i*>(scales.zeros + group * kPanel + half * kLanes);
      __m512i all = _mm512_broadcast_i32x4(_mm_loadu_si128(from));
      zeros[half] = _mm512_shuffle_epi8(all, spread);
    }
    for (int64_t pair = 0; pair < scales.units / 2; ++pair, codes += kUnitBytes) {
      for (int half = 0; half < 2; ++half, to += kTileBytes) {
        __m512i both = _mm512_loadu_si512(codes + half * kTileBytes);
        __m512i low = _mm512_and_si512(both, mask);
        __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
        _mm512_store_si512(to, _mm512_sub_epi8(low, zeros[half]));
        _mm512_store_si512(to + kUnitBytes, _mm512_sub_epi8(high, zeros[half]));
      }
      to += kUnitBytes;
    }
  }
}

template <bool two>
void run_groups(const MatrixPanel& panel) {
  Groups<two>(panel).run();
}

void run_panel(const MatrixPanel& panel) {
  bool two = panel.block_rows > kHalf;
  if (panel.unpacked) {
    two ? run_groups<true>(panel) : run_groups<false>(panel);
  } else {
    two ? run_whole<true>(panel) : run_whole<false>(panel);
  }
  // What went past the caches is seen by other threads from here on.
  _mm_sfence();
}

// As Int8Kernels::scale_row. Four chains: one would wait for itself.
float scale_row(const float* x, int64_t inputs, float* inverse) {
  F most[4], nan[4];
  for (int i = 0; i < 4; ++i) most[i] = nan[i] = zero();
  for (int64_t at = 0; at < inputs; at += 4 * kLanes) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      F value = load(x + at + i * kLanes);
      most[i] = max(most[i], abs(value));
      nan[i] = add(nan[i], sub(value, value));
    }
  }
  float largest = reduce_max(max(max(most[0], most[1]), max(most[2], most[3])));
  float scale = largest / 127.0f + reduce_add(add(add(nan[0], nan[1]), add(nan[2], nan[3])));
  bool is_zero = largest < 0x1p-100f;  // ops::kLeastRowMaximum
  *inverse = is_zero ? 0.0f : 127.0f / largest;
  return scale;
}

RoundedRow round_row(const float* x, int64_t inputs, const void* next, int64_t next_bytes,
                     int8_t* to) {
  float inverse;
  RoundedRow row;
  row.scale = scale_row(x, inputs, &inverse);
  F factor = set(inverse);
  __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  __m512i sums = _mm512_setzero_si512();
  Fetch fetch(next, next_bytes, inputs / kTileBytes);
  auto rounded = [&](int64_t i) { return _mm512_cvtps_epi32(mul(load(x + i), factor)); };
  for (int64_t i = 0; i < inputs; i += kTileBytes, to += kStepRows) {
    fetch.step();
    __m512i low = _mm512_packs_epi32(rounded(i), rounded(i + 16));
    __m512i high = _mm512_packs_epi32(rounded(i + 32), rounded(i + 48));
    __m512i pairs = _mm512_madd_epi16(_mm512_add_epi16(low, high), _mm512_set1_epi16(1));
    sums = _mm512_add_epi32(sums, pairs);
    __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
    _mm512_storeu_si512(to, bytes);
  }
  row.sum = _mm512_reduce_add_epi32(sums);
  return row;
}

}  // namespace

const Int8MatrixKernels kInt8Matrix = {.round_row = round_row, .panel = run_panel};

}  // namespace tenon::cpu::TENON_ISA
