#pragma once

#include <cstdint>

#include "tensor/dtype.h"

// What is compiled once per ISA: plain functions on rows of numbers, in tables. Everything that
// knows ops, threads or errors is compiled for any CPU and calls through a table.
namespace tenon::cpu {

// Kinds of the op `unary`, in the order of ops::kUnaryKinds after None.
enum class Activation : uint8_t {
  None,
  GeluErf,
  GeluTanh,
  QuickGelu,
  Silu,
  Relu,
  Tanh,
  Sigmoid,
  Exp,
  Neg
};
// Kinds of the op `binary`, in the order of ops::kBinaryKinds.
enum class Arithmetic : uint8_t { Add, Sub, Mul, Div };

// Rows of floats. A DType is F32, F16 or BF16; rows of that type start anywhere.
struct RowKernels {
  void (*load)(DType dtype, const void* from, int64_t n, float* to);
  void (*store)(DType dtype, const float* from, int64_t n, void* to);
  // to += from
  void (*accumulate)(DType dtype, const void* from, int64_t n, float* to);
  void (*activate)(Activation kind, int64_t n, float* row);
  // to = a (kind) b
  void (*combine)(Arithmetic kind, const float* a, const float* b, int64_t n, float* to);
  float (*sum)(const float* row, int64_t n);
  // Sum of (row[i] - centre)^2.
  float (*sum_squares)(const float* row, int64_t n, float centre);
  // to = (row - centre) * factor * weight + bias; bias may be null.
  void (*normalise)(const float* row, int64_t n, float centre, float factor, const float* weight,
                    const float* bias, float* to);
  // row *= factor
  void (*scale)(float* row, int64_t n, float factor);
  // The largest element, NaN ignored; -infinity where there is none.
  float (*largest)(const float* row, int64_t n);
  // row = exp((row - centre)); returns their sum.
  float (*exp_sum)(float* row, int64_t n, float centre);
  // row = cap * tanh(row / cap)
  void (*softcap)(float* row, int64_t n, float cap);
  // Rotates pairs (a[i], b[i]) by the angle of (cosine[i], sine[i]).
  void (*rotate)(float* a, float* b, const float* cosine, const float* sine, int64_t n);
};

// Memory that will be packed next: a tile fetches it into L2 while it computes, `bytes` of each row
// for every 16 units.
struct TileFetch {
  const void* const* rows = nullptr;
  int64_t count = 0, bytes = 0;
};

// The transpose of a product, w x^T: rows of x become columns of panels, which is little work where
// the weight w has more rows. A panel is 1 to `most_vectors` vectors of `lanes` columns wide.
struct InPlacePanel {
  int vectors = 0;
  int64_t units = 0;                // of k
  const float* const* w = nullptr;  // [rows]: where the units of each row begin
  int64_t rows = 0;
  const float* x = nullptr;  // [units, vectors * lanes]
  float* c = nullptr;        // [rows, vectors * lanes]
  bool accumulate = false;
  TileFetch fetch;  // weight rows that come after these
  const void* next_x = nullptr;
  int64_t next_x_bytes = 0;
};
struct InPlaceKernels {
  int lanes, most_vectors;
  int square;  // columns that `turn` takes
  // Transposes `rows` (<= vectors * lanes) rows of k-contiguous elements into
  // [elements, vectors * lanes], anything finite beyond `rows` where the last row is.
  void (*pack_x)(DType dtype, const void* const* rows_from, int64_t rows, int vectors,
                 int64_t elements, float* to);
  void (*multiply)(const InPlacePanel& panel);
  // to[i, row] = c[row, i], i < square; rows up to a multiple of `square` are read and written.
  void (*turn)(const float* c, int64_t c_pitch, int64_t rows, float* to, int64_t to_pitch);
};

// A matrix product in tiles. Numbers are in units of 4 bytes along k: one f32, or a pair of bf16.
// A tile is C[m, columns] (+)= A[m, k] B[k, columns], m <= max_rows, `columns` fixed per ISA.
struct GemmKernels {
  int max_rows;
  int columns;
  int elements_per_unit;  // along k: 1 (f32), 2 (pairs of bf16)
  // Units of B that are packed at once: what stays in L1. A divisor of kTileUnits.
  int64_t units_at_once;
  // Writes `rows` rows of A as units, kTilePitch units apart, zero beyond the last element.
  void (*pack_a)(DType dtype, const void* from, int64_t elements, void* to);
  // Transposes `rows` (<= columns) rows of k-contiguous elements into B: [units, columns], zero
  // beyond the last element, anything finite beyond `rows`. rows_from[r] is the start of row r.
  void (*pack_b)(DType dtype, const void* const* rows_from, int64_t rows, int64_t elements,
                 void* to);
  // b_pitch: units between rows of B; c_pitch: floats between rows of C.
  void (*tile)(int m, int64_t units, const void* a, const void* b, int64_t b_pitch, float* c,
               int64_t c_pitch, bool accumulate, const TileFetch& fetch);
  // For weights whose rows can be read where they lie; null: they are packed.
  const InPlaceKernels* in_place = nullptr;
};
// Units between two rows of A, a constant so that tile addresses need no registers; not a multiple
// of 4 KiB, so that the rows of a tile fall into different cache sets.
inline constexpr int64_t kTileUnits = 512;
inline constexpr int64_t kTilePitch = kTileUnits + 16;
inline constexpr int64_t kMostTileColumns = 64;  // of all ISAs

// The transpose of a product of pairs of bf16, w x^T, by a unit for tiles: blocks of 32 x 32 sums.
// Rows of a weight are rows of tiles as they are; rows of x, which are fewer, are turned.
inline constexpr int64_t kPairBlock = 32;      // rows, and columns
inline constexpr int64_t kPairStep = 32;       // elements of k: 64 bytes
inline constexpr int64_t kPairBytes = 2048;    // a step of 32 rows of either
inline constexpr int64_t kPairSums = 32 * 32;  // of a block
struct PairTiles {
  int64_t columns;  // rows of x, any number
  int64_t steps;    // at least 1; 16 of w stay in L1
  const void* w;    // [steps, 32 rows, 64 bytes]
  const void* x;    // [blocks of 32 columns, steps, 2 halves, 16 pairs, 16 columns]
  float* c;         // [blocks of 32 columns, 32 rows, 32 columns]; all of a block is written
  bool accumulate;
  // Lines that are read next: line i of row r of these, `fetch_lines` of each.
  const void* const* fetch = nullptr;  // [32]
  int64_t fetch_lines = 0;
};
struct PairTileKernels {
  // Sets the shapes of tiles, and leaves the registers clear: around calls of `multiply`.
  void (*begin)();
  void (*end)();
  // 32 rows of a weight as tiles, zeros beyond the last element.
  void (*pack_w)(const void* const* rows, int64_t elements, int64_t steps, void* to);
  // 64 bytes of 16 rows of x, from `bytes` on in each, as one half of a step.
  void (*pack_x)(const void* const* rows, int64_t bytes, void* to);
  void (*multiply)(const PairTiles& work);
};

// Products of few rows of x with weight rows read once, straight from memory.
struct GemvKernels {
  int max_rows;     // of x in one call
  int worth_up_to;  // rows of x, in several calls; with more of them GemmKernels are faster
  // x is f32, or bf16 where this table multiplies pairs of bf16; its rows are zero padded to a
  // multiple of kGemvPadding elements.
  DType x_dtype;
  // out[m * out_pitch + r] = x row m . weight row r
  using Run = void (*)(DType w_dtype, const void* w, int64_t w_pitch, int64_t w_rows, const void* x,
                       int64_t x_pitch, int m, int64_t k, float* out, int64_t out_pitch);
  Run run;        // fetches the weight from memory ahead of its use
  Run run_again;  // the same on weight rows that a call of `run` has just read
};
inline constexpr int64_t kGemvPadding = 64;
inline constexpr int kMostGemvRows = 24;  // of worth_up_to

// How the columns of a panel (tensor/formats/quantised_weight.h) are scaled. Groups and inputs are
// those of one call: whole groups, or a part of the only one.
struct PanelScales {
  const void* scales = nullptr;    // [groups, 32]
  bool half = false;               // f16 and not f32
  const uint8_t* zeros = nullptr;  // [groups, 32]; null: `middle` everywhere
  int middle = 0;
  int64_t groups = 1, units = 0;  // units (of 4 inputs) of a group: a multiple of 8
};

// c[rows, 32] (+)= x . panel^T in integers, a group at a time.
inline constexpr int64_t kInt8Block = 2048;
// A constant, so that addresses need no registers; not a multiple of 4 KiB, so that the rows of a
// tile fall into different cache sets.
inline constexpr int64_t kInt8Pitch = kInt8Block + 64;

struct Int8Tile {
  int rows = 0;  // <= max_rows
  // The codes of x: blocks of kInt8Block inputs, in each the rows kInt8Pitch bytes apart. This one
  // begins `x_first` inputs (a multiple of the group) behind the beginning of `x`'s block.
  const int8_t* x = nullptr;
  int64_t x_first = 0, x_block = 0;  // bytes between blocks
  const float* x_scales = nullptr;   // [rows]
  // [rows, groups]: what a group's sum begins with, -middle times the sum of the codes of x; where
  // there are zeros, that sum times -1.
  const int32_t* offsets = nullptr;
  int64_t offsets_pitch = 0;
  const uint8_t* codes = nullptr;  // [units, 32, 4]; pairs of units in a byte where `packed`
  bool packed = false;
  PanelScales scales;
  float* c = nullptr;
  int64_t c_pitch = 0;
  bool accumulate = false;
  // Of a single group, in parts of its inputs: c holds the integers of the parts before, or keeps
  // them for the next.
  bool resume = false, suspend = false;
  // Memory that is read soon: `fetch_lines` cache lines for every 8 units, from here on.
  const void* fetch = nullptr;
  int64_t fetch_lines = 0;
  bool streams = false;  // `fetch` is kStreamAhead bytes behind `codes`, which come from memory
};
inline constexpr int64_t kStreamAhead = 8192;

struct Int8Kernels {
  int max_rows, max_grouped_rows;  // the latter is best with several groups
  // Where an ISA multiplies signed codes only, those in whole bytes go less `shift`: offsets are
  // then `shift` times the sum of the codes of x larger. Zeros are shifted by the tile itself.
  int shift;
  // x [inputs] (a multiple of 32; at most one block) times `inverse` to the nearest integers, and
  // `factor` times their sums by `group` inputs added to offsets.
  void (*round_row)(const float* x, int64_t inputs, int64_t group, float inverse, int32_t factor,
                    int8_t* codes, int32_t* offsets);
  // The scale of x [inputs] (a multiple of 32) as the op quantised_linear says, NaN where an
  // element is not finite, and its inverse.
  float (*scale_row)(const float* x, int64_t inputs, float* inverse);
  // Codes of 4 bits as [units, 32, 4] bytes.
  void (*unpack)(const uint8_t* codes, int64_t units, uint8_t* to);
  void (*tile)(const Int8Tile& tile);
  // At most max_rows rows with `panels` panels that lie behind each other and come from memory, the
  // first of them the tile's: whole panels, c[rows, 32 * panels]. What to fetch it knows itself.
  void (*stream)(const Int8Tile& tile, int64_t panels);
};

// Where the 32 columns of a panel go, and what happens to them on the way.
struct PanelResults {
  char* const* y = nullptr;               // [rows]: where each begins
  const char* const* residual = nullptr;  // [rows]; null: none
  DType y_dtype = DType::F32, residual_dtype = DType::F32;
  int64_t column = 0;           // the panel's first
  int64_t columns = 32;         // that there are
  const float* bias = nullptr;  // [32]; null: none
  Activation activation = Activation::None;
  void (*activate)(Activation kind, int64_t n, float* row) = nullptr;
  // Whole lines of f32 or bf16 on borders of 64 bytes, which need not be in a cache afterwards.
  bool past_caches = false;
};

// A panel with all rows of x, for a unit that multiplies whole matrices.
struct MatrixPanel {
  int64_t rows = 0;
  int block_rows = 0;  // <= kMatrixBlock: x, and sums, are blocks of so many rows
  // Codes of x [blocks, steps of 64 inputs, kMatrixBlock, 64], zero behind the last input.
  const int8_t* x = nullptr;
  const float* x_scales = nullptr;  // [rows], readable for kMatrixBlock more
  const int32_t* x_sums = nullptr;  // [rows]: of the codes of x
  int64_t inputs = 0;
  const uint8_t* codes = nullptr;
  PanelScales scales;
  int8_t* unpacked = nullptr;  // kMatrixUnpacked bytes for codes of 4 bits; null: they have 8
  void* sums = nullptr;        // [blocks, kMatrixBlock, 32] of 4 bytes
  const void* next = nullptr;  // the panel whose codes are read next
  PanelResults results;
};
inline constexpr int kMatrixBlock = 32;
inline constexpr int64_t kMatrixStep = 64;  // inputs
inline constexpr int64_t kMatrixUnpacked = 1024 * 32;

struct RoundedRow {
  float scale;
  int32_t sum;  // of the codes
};

// Memory that tiles are loaded from lies on borders of 64 bytes.
struct Int8MatrixKernels {
  // x [inputs] (a multiple of kMatrixStep) to codes as Int8Kernels makes them, 64 of them every
  // kMatrixBlock * 64 bytes. Fetches the memory of the next row.
  RoundedRow (*round_row)(const float* x, int64_t inputs, const void* next, int64_t next_bytes,
                          int8_t* codes);
  // Codes of 8 bits in one group, or of 4 bits in groups.
  void (*panel)(const MatrixPanel& panel);
};

// A panel of codes of 4 bits with x in f32.
struct Codes4Kernels {
  int max_rows;
  int columns;  // of one call of unpack; those of GemmKernels
  // b[inputs, columns] from column `first` of the panel on, as GemmKernels::tile wants it.
  void (*unpack)(const uint8_t* codes, int64_t first, const PanelScales& scales, float* b);
  // c[rows, 32] = x . panel^T
  void (*multiply)(int rows, const float* x, int64_t x_pitch, const uint8_t* codes,
                   const PanelScales& scales, float* c, int64_t c_pitch);
};

// Rows that will be read next: position p of a kernel fetches row p of these into L2.
struct RowFetch {
  const void* const* rows = nullptr;
  int64_t count = 0, bytes = 0;
};

// K and V of one head with at most kFewKeys keys, as attend_few wants them.
inline constexpr int kFewKeys = 16;
struct FewKeys {
  const float* k;       // [dims, kFewKeys], scaled; beyond count some key again
  const float* v;       // [count, dims]
  const float* valid;   // [kFewKeys]: 1, beyond count 0
  int64_t count, dims;  // dims: a multiple of 16
};

// A few query rows (m) with rows of a cache as they lie there; k[p] and v[p] are the starts of
// rows.
struct AttentionKernels {
  // scores[i, p] = q row i . k row p, p < count. Rows of q are readable up to a multiple of
  // kGemvPadding floats, and zero beyond dims.
  void (*score_rows)(DType dtype, const void* const* k, int64_t count, int64_t dims, int64_t m,
                     const float* q, int64_t q_pitch, float* scores, int64_t scores_pitch,
                     const RowFetch& fetch);
  // sums[i, :] += sum over p of weights[i, p] * v row p.
  void (*weigh_rows)(DType dtype, const void* const* v, int64_t count, int64_t dims, int64_t m,
                     const float* weights, int64_t weights_pitch, float* sums, int64_t sums_pitch,
                     const RowFetch& fetch);
  // out[i, :] = softmax(q row i . K) V.
  void (*attend_few)(const FewKeys& keys, const float* q, int64_t q_pitch, int64_t rows, float* out,
                     int64_t out_pitch);
};

// c[rows, 32 panels] (+)= a b, of pairs of bf16 along k: `rows` a multiple of 32, `units` (pairs)
// of
// 16. Pitches in bytes, that of c in floats.
// The sum of a product for each segment: bytes from `a`, and from `b`, to where its operands begin.
struct PairSegment {
  int64_t a = 0, b = 0;
};
struct PairProduct {
  int64_t rows, units, panels;
  const void* a;
  int64_t a_pitch;
  const void* b;             // of a panel [units, 32] pairs
  int64_t b_pitch, b_panel;  // from a unit to the next, from a panel to the next
  float* c;
  int64_t c_pitch;
  bool accumulate;
  const PairSegment* segments = nullptr;  // null: one, at 0 and 0
  int64_t segment_count = 1;
};

// Attention by products of pairs of bf16. A weight of the softmax is the sum of two bf16, so that
// little is lost of it.
struct PairAttentionKernels {
  void (*multiply)(const PairProduct& product);
  // high[i] + low[i] = f16 from[i], two bf16, exactly; low is 0 where from is not finite.
  void (*split_halves)(const void* from, int64_t n, void* high, void* low);
  // to[i] = the pair (even[i], odd[i]), i < n; odd may be null: zeros.
  void (*pair_rows)(const void* even, const void* odd, int64_t n, void* to);
  // scores = scale * scores, plus by_row[i / wide] + by_column[i % wide] where wide > 0, which then
  // divides count. Returns the largest, NaN ignored.
  float (*finish_scores)(float* scores, int64_t count, float scale, const float* by_row,
                         const float* by_column, int64_t wide);
  // exp(scores - centre) = high + low, zeros from count on up to a multiple of 32; returns the sum.
  float (*split_exp)(const float* scores, int64_t count, float centre, void* high, void* low);
};

#if defined(__x86_64__) || defined(__aarch64__)
#define TENON_CPU_SIMD
#endif

#if defined(__x86_64__)
namespace avx2 {
extern const RowKernels kRows;
extern const InPlaceKernels kInPlace;
extern const GemmKernels kGemm;
extern const GemvKernels kGemv;
extern const AttentionKernels kAttention;
extern const Int8Kernels kInt8;
extern const Codes4Kernels kCodes4;
}  // namespace avx2
namespace avx512 {
extern const RowKernels kRows;
extern const InPlaceKernels kInPlace;
extern const GemmKernels kGemm;
extern const GemvKernels kGemv;
extern const AttentionKernels kAttention;
extern const Codes4Kernels kCodes4;
}  // namespace avx512
namespace avx512vnni {
extern const Int8Kernels kInt8;
}  // namespace avx512vnni
namespace avx512bf16 {
extern const GemmKernels kGemm;
extern const GemvKernels kGemv;
}  // namespace avx512bf16
namespace amx {
extern const PairTileKernels kPairTiles;
extern const Int8MatrixKernels kInt8Matrix;
extern const PairAttentionKernels kPairAttention;
}  // namespace amx
#elif defined(__aarch64__)
namespace neon {
extern const RowKernels kRows;
extern const InPlaceKernels kInPlace;
extern const GemmKernels kGemm;
extern const GemvKernels kGemv;
extern const AttentionKernels kAttention;
extern const Int8Kernels kInt8;
extern const Codes4Kernels kCodes4;
}  // namespace neon
namespace dotprod {
extern const Int8Kernels kInt8;
}  // namespace dotprod
namespace i8mm {
extern const Int8Kernels kInt8;
}  // namespace i8mm
#endif

}  // namespace tenon::cpu
