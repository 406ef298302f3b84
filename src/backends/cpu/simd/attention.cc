#include "backends/cpu/isa.h"
#include "backends/cpu/simd/few_keys.h"
#include "backends/cpu/simd/prefetch.h"
#include "backends/cpu/simd/vec.h"

// A few query rows with rows of K and V as they lie in the cache, read once for all queries. The
// cache is a list of short runs of memory, which the hardware does not prefetch well: each row that
// is used fetches one that comes next.
namespace tenon::cpu::TENON_ISA {
namespace {

constexpr int kPositionsAtOnce = 4;

constexpr int vectors_at_once(int m) {
  if (kRegisters == 32) return m <= 2 ? 8 : 4;
  return m == 1 ? 8 : m == 2 ? 4 : 2;
}

// What is fetched is used one stage later.
inline void fetch_row(const RowFetch& fetch, int64_t position) {
  if (position >= fetch.count) return;
  auto* row = static_cast<const char*>(fetch.rows[position]);
  for (int64_t i = 0; i < fetch.bytes; i += 64) fetch_into_l2(row + i);
}

// scores[i, p] = q row i . K row p, for m rows and r positions.
template <class Format, int m, int r>
inline void score_block(const typename Format::Element* const* k, int64_t dims, const float* q,
                        int64_t q_pitch, float* scores, int64_t scores_pitch) {
  F sums[m][r];
#pragma GCC unroll 4
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 4
    for (int p = 0; p < r; ++p) sums[i][p] = zero();
  }
  auto step = [&](int64_t dim, int64_t lanes) __attribute__((always_inline)) {
    F rows[r];
#pragma GCC unroll 4
    for (int p = 0; p < r; ++p) rows[p] = get<Format>(k[p] + dim, lanes);
#pragma GCC unroll 4
    for (int i = 0; i < m; ++i) {
      F value = load(q + i * q_pitch + dim);
#pragma GCC unroll 4
      for (int p = 0; p < r; ++p) sums[i][p] = fma(rows[p], value, sums[i][p]);
    }
  };
  int64_t dim = 0;
  for (; dim + kLanes <= dims; dim += kLanes) step(dim, kLanes);
  if (dim < dims) step(dim, dims - dim);
#pragma GCC unroll 4
  for (int i = 0; i < m; ++i) {
    float* to = scores + i * scores_pitch;
    if constexpr (r == 4) {
      store_sums(to, sums[i][0], sums[i][1], sums[i][2], sums[i][3]);
    } else {
#pragma GCC unroll 4
      for (int p = 0; p < r; ++p) to[p] = reduce_add(sums[i][p]);
    }
  }
}

template <class Format, int m>
void score_queries(const void* const* k, int64_t count, int64_t dims, const float* q,
                   int64_t q_pitch, float* scores, int64_t scores_pitch, const RowFetch& fetch) {
  auto rows = reinterpret_cast<const typename Format::Element* const*>(k);
  int64_t p = 0;
  for (; p + kPositionsAtOnce <= count; p += kPositionsAtOnce) {
    for (int i = 0; i < kPositionsAtOnce; ++i) fetch_row(fetch, p + i);
    score_block<Format, m, kPositionsAtOnce>(rows + p, dims, q, q_pitch, scores + p, scores_pitch);
  }
  for (; p < count; ++p) {
    fetch_row(fetch, p);
    score_block<Format, m, 1>(rows + p, dims, q, q_pitch, scores + p, scores_pitch);
  }
}

// m rows of sums by `vectors` vectors of columns.
template <class Format, int m, int vectors>
void weigh_block(const typename Format::Element* const* v, int64_t count, int64_t column,
                 const float* weights, int64_t weights_pitch, float* sums, int64_t sums_pitch,
                 const RowFetch& fetch) {
  F held[m][vectors];
#pragma GCC unroll 4
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) {
      held[i][j] = load(sums + i * sums_pitch + column + j * kLanes);
    }
  }
  for (int64_t p = 0; p < count; ++p) {
    fetch_row(fetch, p);
    F row[vectors];
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) row[j] = Format::get(v[p] + column + j * kLanes);
#pragma GCC unroll 4
    for (int i = 0; i < m; ++i) {
      F weight = set(weights[i * weights_pitch + p]);
#pragma GCC unroll 8
      for (int j = 0; j < vectors; ++j) held[i][j] = fma(weight, row[j], held[i][j]);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < m; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < vectors; ++j) {
      store(sums + i * sums_pitch + column + j * kLanes, held[i][j]);
    }
  }
}

// The last columns, fewer than a vector.
template <class Format>
void weigh_tail(const typename Format::Element* const* v, int64_t count, int64_t column, int64_t n,
                const float* weights, float* sums) {
  F held = load(sums + column, n);
  for (int64_t p = 0; p < count; ++p) {
    held = fma(set(weights[p]), Format::get(v[p] + column, n), held);
  }
  store(sums + column, held, n);
}

// Columns from `column` on, in blocks of `vectors`, then of half as many; returns the first column
// that is left.
template <class Format, int m, int vectors>
int64_t weigh_columns(const typename Format::Element* const* v, int64_t count, int64_t column,
                      int64_t dims, const float* weights, int64_t weights_pitch, float* sums,
                      int64_t sums_pitch, const RowFetch& fetch) {
  for (; column + vectors * kLanes <= dims; column += vectors * kLanes) {
    weigh_block<Format, m, vectors>(v, count, column, weights, weights_pitch, sums, sums_pitch,
                                    column == 0 ? fetch : RowFetch{});
  }
  if constexpr (vectors > 1) {
    column = weigh_columns<Format, m, vectors / 2>(v, count, column, dims, weights, weights_pitch,
                                                   sums, sums_pitch, fetch);
  }
  return column;
}

template <class Format, int m>
void weigh_queries(const void* const* v, int64_t count, int64_t dims, const float* weights,
                   int64_t weights_pitch, float* sums, int64_t sums_pitch, const RowFetch& fetch) {
  auto rows = reinterpret_cast<const typename Format::Element* const*>(v);
  int64_t column = weigh_columns<Format, m, vectors_at_once(m)>(
      rows, count, 0, dims, weights, weights_pitch, sums, sums_pitch, fetch);
  for (int i = 0; i < m && column < dims; ++i) {
    weigh_tail<Format>(rows, count, column, dims - column, weights + i * weights_pitch,
                       sums + i * sums_pitch);
  }
}

// Calls f(constant m, first row) so that the m add up to `rows`; m is 4, 2 or 1.
template <class Function>
inline void for_query_groups(int64_t rows, Function f) {
  int64_t row = 0;
  for (; row + 4 <= rows; row += 4) f.template operator()<4>(row);
  if (rows - row >= 2) {
    f.template operator()<2>(row);
    row += 2;
  }
  if (row < rows) f.template operator()<1>(row);
}

void score_rows(DType dtype, const void* const* k, int64_t count, int64_t dims, int64_t m,
                const float* q, int64_t q_pitch, float* scores, int64_t scores_pitch,
                const RowFetch& fetch) {
  with_format(dtype, [&]<class Format>(Format) {
    for_query_groups(m, [&]<int group>(int64_t row) {
      score_queries<Format, group>(k, count, dims, q + row * q_pitch, q_pitch,
                                   scores + row * scores_pitch, scores_pitch,
                                   row == 0 ? fetch : RowFetch{});
    });
  });
}

void weigh_rows(DType dtype, const void* const* v, int64_t count, int64_t dims, int64_t m,
                const float* weights, int64_t weights_pitch, float* sums, int64_t sums_pitch,
                const RowFetch& fetch) {
  with_format(dtype, [&]<class Format>(Format) {
    for_query_groups(m, [&]<int group>(int64_t row) {
      weigh_queries<Format, group>(v, count, dims, weights + row * weights_pitch, weights_pitch,
                                   sums + row * sums_pitch, sums_pitch,
                                   row == 0 ? fetch : RowFetch{});
    });
  });
}

}  // namespace

const AttentionKernels kAttention = {
    .score_rows = score_rows, .weigh_rows = weigh_rows, .attend_few = attend_few};

}  // namespace tenon::cpu::TENON_ISA
