#include <cstring>

#include "backends/cpu/isa.h"
#include "backends/cpu/simd/matrix_tiles.h"

// Products of pairs of bf16 in tiles of 32 x 32.
namespace tenon::cpu::TENON_ISA {
namespace {

constexpr int64_t kStepUnits = 16;

// The memory that is read next, a line for every 16 units: as of the other tiles.
inline void fetch_ahead(const TileFetch& fetch, int64_t step) {
  for (int64_t i = 0; i < fetch.count; ++i) {
    asm volatile("prefetcht1 %0"
                 :
                 : "m"(static_cast<const char*>(fetch.rows[i])[step * fetch.bytes]));
  }
}

// The sums of up to 32 rows over `units` units, a multiple of `step`.
template <bool two>
void add_products(TileOperands at, int64_t units, int64_t step, const TileSums& sums,
                  bool accumulate, const TileFetch& fetch) {
  if (accumulate) {
    load_sums<two>(sums);
  } else {
    clear_sums<two>();
  }
  for (int64_t unit = 0; unit < units; unit += step) {
    fetch_ahead(fetch, unit / kStepUnits);
    multiply_pairs<two>(at);
    at.a += step * 4;
    at.b += step * at.b_pitch;
  }
  store_sums<two>(sums);
}

// What all tiles of a call share.
struct Call {
  TileOperands at;
  TileSums sums;
  TileFetch fetch;
  int m;
};

// Each tile fetches an equal part of what is read next.
TileFetch part_of(const TileFetch& fetch, int64_t part, int64_t parts) {
  int64_t begin = fetch.count * part / parts, end = fetch.count * (part + 1) / parts;
  return {fetch.rows + begin, end - begin, fetch.bytes};
}

// All rows over `units` units from `first` on. Shapes are set once for all whole tiles.
void run_units(const Call& call, int64_t first, int64_t units, int64_t step, bool accumulate) {
  int full = call.m / kMatrixRows * kMatrixRows, last = call.m - full;
  int parts = (call.m + kMatrixRows - 1) / kMatrixRows;
  auto run = [&](auto add, int row) {
    TileOperands at = call.at;
    at.a += row * at.a_pitch + first * 4;
    at.b += first * at.b_pitch;
    TileSums sums = {static_cast<char*>(call.sums.at) + row * call.sums.pitch, call.sums.pitch};
    TileFetch fetch = first > 0 ? TileFetch{} : part_of(call.fetch, row / kMatrixRows, parts);
    add(at, units, step, sums, accumulate, fetch);
  };
  if (full > 0) {
    TileScope scope(kMatrixRows, step * 4);
    for (int row = 0; row < full; row += kMatrixRows) run(add_products<true>, row);
  }
  if (last > 0) {
    TileScope scope(last, step * 4);
    run(last > kHalf ? add_products<true> : add_products<false>, full);
  }
}

void run_tile(int m, int64_t units, const void* a, const void* b, int64_t b_pitch, float* c,
              int64_t c_pitch, bool accumulate, const TileFetch& fetch) {
  int64_t rest = units % kStepUnits, whole = units - rest;
  Call call = {
      {static_cast<const char*>(a), kTilePitch * 4, static_cast<const char*>(b), b_pitch * 4},
      {c, c_pitch * 4},
      fetch,
      m};
  if (whole > 0) run_units(call, 0, whole, kStepUnits, accumulate);
  if (rest > 0) run_units(call, whole, rest, rest, accumulate || whole > 0);
}

void pack_a(DType dtype, const void* from, int64_t elements, void* to) {
  avx512bf16::kGemm.pack_a(dtype, from, elements, to);
}

void pack_b(DType dtype, const void* const* rows_from, int64_t rows, int64_t elements, void* to) {
  avx512bf16::kGemm.pack_b(dtype, rows_from, rows, elements, to);
}

}  // namespace

const GemmKernels kGemm = {
    .max_rows = 512,  // what lies in L2 beside the packed columns
    .columns = kMatrixColumns,
    .elements_per_unit = 2,
    .units_at_once = kTileUnits,
    .pack_a = pack_a,
    .pack_b = pack_b,
    .tile = run_tile,
};

}  // namespace tenon::cpu::TENON_ISA
