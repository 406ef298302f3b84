#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "backends/cpu/kernels/linear.h"
#include "base/thread_pool.h"

// The transpose of a product of pairs of bf16 by a unit for tiles. Rows of x are turned once; a
// piece of the weight, 32 rows and up to 16 steps of k, is copied into tiles in L1 and meets all
// rows of x, which come past from L2. Sums of a block of columns of y wait in L2 from one part of k
// to the next and are turned back at the end.
namespace tenon::cpu {
#if defined(__x86_64__)
namespace {

constexpr int64_t kMostSteps = 16;          // 32 KiB of the weight in L1
constexpr int64_t kMostRows = 512;          // of x at once: a part of k of them stays in L2
constexpr int64_t kMostInL2 = 1024 * 1024;  // of x, so that all of its parts stay there
constexpr int64_t kMostSums = 128 * 1024;   // numbers, beside a part of x
constexpr int64_t kMostColumns = 256, kLeastRows = 64;
constexpr int64_t kTurns = 2;  // of a thread, at least
constexpr int64_t kLineBytes = 64, kHalf = 16;
constexpr int64_t kTurned = 8;  // rows of y that are turned and finished at once

struct Plan {
  int64_t row_block = 0;         // rows of x that are packed at once, whole blocks of 32
  int64_t parts = 0, steps = 0;  // of k; steps of a part but the last
  int64_t last_steps = 0;
  int64_t column_block = 0;  // columns of y whose sums a thread holds
  bool by_rows = false;      // each thread packs rows of its own, and does all columns
  bool parts_first = false;  // of 32 columns, before the next 32
  int64_t blocks() const { return row_block / kPairBlock; }
  int64_t part_bytes() const { return blocks() * steps * kPairBytes; }
  int64_t steps_of(int64_t part) const { return part + 1 < parts ? steps : last_steps; }
};

// Whether threads share rows of x: where there are many, or few columns.
bool is_by_rows(const LinearSizes& sizes) {
  int64_t threads = process_thread_pool().size();
  if (sizes.n <= kMostColumns) return sizes.m >= kLeastRows * threads;
  return sizes.m >= kMostRows * 2 * threads;
}

// `count` divided into equal multiples of 32 of at most `most`, a whole number for each thread, at
// least `turns` of them.
int64_t even_share(int64_t count, int64_t most, int64_t turns) {
  int64_t threads = process_thread_pool().size();
  int64_t shares = round_up(std::max(ceil_div(count, most), turns * threads), threads);
  return std::clamp(round_up(ceil_div(count, shares), kPairBlock), kPairBlock, most);
}

Plan plan_of(const LinearSizes& sizes) {
  Plan plan;
  plan.by_rows = is_by_rows(sizes);
  int64_t row_blocks = std::max<int64_t>(1, ceil_div(sizes.m, kMostRows));
  plan.row_block = round_up(std::max<int64_t>(1, ceil_div(sizes.m, row_blocks)), kPairBlock);
  if (plan.by_rows) plan.row_block = even_share(sizes.m, kMostRows, kTurns);
  int64_t steps = std::max<int64_t>(1, ceil_div(sizes.k, kPairStep));
  plan.parts = ceil_div(steps, kMostSteps);
  plan.steps = ceil_div(steps, plan.parts);
  plan.parts = ceil_div(steps, plan.steps);
  plan.last_steps = steps - (plan.parts - 1) * plan.steps;
  // Weights are read in the order in which they lie, unless a part of x then came from L3 each
  // time.
  plan.parts_first = plan.parts * plan.part_bytes() <= kMostInL2;
  int64_t most = std::min(kMostSums / plan.row_block / kPairBlock * kPairBlock, kMostColumns);
  plan.column_block = plan.by_rows ? most : even_share(sizes.n, most, kTurns);
  return plan;
}

// Scratch memory of one thread.
struct Buffers {
  std::byte* w;   // [kMostSteps] steps of 32 rows of the weight
  float* c;       // [column_block / 32, row_block / 32] blocks of sums
  float* turned;  // [kTurned, column_block]
};

Buffers take_buffers(const Plan& plan, Workspace& workspace) {
  Buffers buffers{};
  buffers.w = workspace.take<std::byte>(kMostSteps * kPairBytes);
  buffers.c = workspace.take<float>(std::min(kMostColumns * plan.row_block, kMostSums));
  buffers.turned = workspace.take<float>(kTurned * kMostColumns);
  return buffers;
}

std::byte* take_rows(const Plan& plan, Workspace& workspace) {
  return workspace.take<std::byte>(plan.parts * plan.part_bytes());
}

// The kernels of a call.
struct Tables {
  const RowKernels& rows;
  const PairTileKernels& tiles;
  const InPlaceKernels& turn;
};

// Rows of x, turned: [parts, blocks of 32 rows, steps_of(part), 16 pairs, 32 rows].
struct PackedRows {
  std::byte* at;
  int64_t first, count;
};

// 32 rows of x. Those that do not exist repeat the last one: what they give is never looked at.
void pack_block(const LinearCall& call, const PairTileKernels& tiles, const Plan& plan,
                const PackedRows& x, int64_t block) {
  const void* from[kPairBlock];
  for (int64_t i = 0; i < kPairBlock; ++i)
    from[i] = call.x.at(x.first + std::min(block * kPairBlock + i, x.count - 1), 0);
  for (int64_t part = 0; part < plan.parts; ++part) {
    int64_t steps = plan.steps_of(part);
    std::byte* to = x.at + part * plan.part_bytes() + block * steps * kPairBytes;
    for (int64_t i = 0; i < steps; ++i, to += kPairBytes) {
      int64_t step = part * plan.steps + i, left = call.k - step * kPairStep;
      for (int64_t half = 0; half < 2; ++half) {
        const void* const* rows = from + half * kHalf;
        std::byte* half_to = to + half * kPairBytes / 2;
        if (left >= kPairStep) {
          tiles.pack_x(rows, step * kLineBytes, half_to);
          continue;
        }
        std::byte tails[kHalf][kLineBytes] = {};
        const void* tails_from[kHalf];
        for (int64_t r = 0; r < kHalf; ++r) {
          auto* tail = static_cast<const std::byte*>(rows[r]) + step * kLineBytes;
          if (left > 0) std::memcpy(tails[r], tail, static_cast<size_t>(left * 2));
          tails_from[r] = tails[r];
        }
        tiles.pack_x(tails_from, 0, half_to);
      }
    }
  }
}

// A block of columns of y for all packed rows of x.
class ColumnBlock {
 public:
  ColumnBlock(const LinearCall& call, const Tables& tables, const Plan& plan, const PackedRows& x,
              const Buffers& buffers, int64_t first, int64_t after)
      : call_(call),
        tables_(tables),
        plan_(plan),
        x_(x),
        buffers_(buffers),
        first_(first),
        end_(std::min(call.n, first + plan.column_block)),
        after_(after) {}

  void run() const {
    tables_.tiles.begin();
    for (Piece piece = {first_, 0}; piece.part < plan_.parts && piece.column < end_;) {
      Piece next = next_of(piece);
      multiply(piece, next);
      piece = next;
    }
    tables_.tiles.end();
    int64_t rows = x_.count;
    for (int64_t row = 0; row < rows; row += kTurned) finish(row, std::min(kTurned, rows - row));
  }

 private:
  // 32 rows of the weight and a part of k.
  struct Piece {
    int64_t column = 0, part = 0;
  };

  Piece next_of(Piece piece) const {
    if (plan_.parts_first) {
      if (++piece.part == plan_.parts) piece = {piece.column + kPairBlock, 0};
    } else {
      piece.column += kPairBlock;
      if (piece.column >= end_) piece = {first_, piece.part + 1};
    }
    return piece;
  }

  void find_rows(const Piece& piece, const void** rows) const {
    for (int64_t i = 0; i < kPairBlock; ++i) {
      int64_t column = std::min(piece.column + i, call_.n - 1);
      rows[i] = call_.weight.at(column, piece.part * plan_.steps * kPairStep);
    }
  }

  float* sums_of(int64_t column, int64_t block) const {
    return buffers_.c + ((column - first_) / kPairBlock * plan_.blocks() + block) * kPairSums;
  }

  void multiply(const Piece& piece, Piece next) const {
    const void *rows[kPairBlock], *fetched[kPairBlock];
    int64_t steps = plan_.steps_of(piece.part);
    find_rows(piece, rows);
    tables_.tiles.pack_w(rows, call_.k - piece.part * plan_.steps * kPairStep, steps, buffers_.w);
    if (next.part == plan_.parts || next.column >= end_) next = {after_, 0};
    bool fetch = next.column < call_.n;
    if (fetch) find_rows(next, fetched);
    tables_.tiles.multiply({.columns = x_.count,
                            .steps = steps,
                            .w = buffers_.w,
                            .x = x_.at + piece.part * plan_.part_bytes(),
                            .c = sums_of(piece.column, 0),
                            .accumulate = piece.part > 0,
                            .fetch = fetched,
                            .fetch_lines = fetch ? plan_.steps_of(next.part) : 0});
  }

  // A few rows of y.
  void finish(int64_t row, int64_t count) const {
    for (int64_t column = first_; column < end_; column += kPairBlock) {
      const float* sums = sums_of(column, row / kPairBlock) + row % kPairBlock;
      tables_.turn.turn(sums, kPairBlock, kPairBlock, buffers_.turned + column - first_,
                        plan_.column_block);
    }
    for (int64_t i = 0; i < count; ++i) {
      finish_row(tables_.rows, call_, x_.first + row + i, first_, end_ - first_,
                 buffers_.turned + i * plan_.column_block);
    }
  }

  const LinearCall& call_;
  const Tables& tables_;
  const Plan& plan_;
  const PackedRows& x_;
  const Buffers& buffers_;
  int64_t first_, end_, after_;
};

// Blocks of columns are taken one by one, so that a thread that another process disturbs does not
// hold up the rest; the one after next early, so that its weights can be fetched.
void run_columns(const LinearCall& call, const Tables& tables, const Plan& plan,
                 const PackedRows& x, const std::vector<Buffers>& buffers) {
  std::atomic<int64_t> next{0};
  process_thread_pool().run([&](int thread) {
    int64_t column = next.fetch_add(plan.column_block);
    while (column < call.n) {
      int64_t after = next.fetch_add(plan.column_block);
      ColumnBlock(call, tables, plan, x, buffers[thread], column, after).run();
      column = after;
    }
  });
}

}  // namespace

int64_t tiles_workspace(const LinearSizes& sizes) {
  Plan plan = plan_of(sizes);
  // Fewer rows may make larger blocks: 600 are two times 320, 500 are 512.
  plan.row_block = std::min(round_up(std::max<int64_t>(1, sizes.m), kPairBlock), kMostRows);
  Workspace workspace;
  for (int i = 0; i < process_thread_pool().size(); ++i) {
    take_buffers(plan, workspace);
    if (i == 0 || plan.by_rows) take_rows(plan, workspace);
  }
  return workspace.needed();
}

void run_tiles(const LinearCall& call, const RowKernels& rows, const PairTileKernels& tiles,
               Workspace workspace) {
  Tables tables = {rows, tiles, *avx512::kGemm.in_place};
  TENON_CHECK(tables.turn.square == kTurned);
  Plan plan = plan_of({.m = call.m, .n = call.n, .k = call.k});
  ThreadPool& pool = process_thread_pool();
  std::vector<Buffers> buffers;
  std::vector<std::byte*> packed;
  for (int i = 0; i < pool.size(); ++i) {
    buffers.push_back(take_buffers(plan, workspace));
    packed.push_back(i == 0 || plan.by_rows ? take_rows(plan, workspace) : packed[0]);
  }
  auto rows_at = [&](int64_t first, int thread) {
    return PackedRows{packed[thread], first, std::min(plan.row_block, call.m - first)};
  };
  if (plan.by_rows) {
    std::atomic<int64_t> next{0};
    return pool.run([&](int thread) {
      for (int64_t first; (first = next.fetch_add(plan.row_block)) < call.m;) {
        PackedRows x = rows_at(first, thread);
        for (int64_t block = 0; block < ceil_div(x.count, kPairBlock); ++block)
          pack_block(call, tiles, plan, x, block);
        for (int64_t column = 0; column < call.n; column += plan.column_block)
          ColumnBlock(call, tables, plan, x, buffers[thread], column, column + plan.column_block)
              .run();
      }
    });
  }
  for (int64_t first = 0; first < call.m; first += plan.row_block) {
    PackedRows x = rows_at(first, 0);
    pool.parallel_for(ceil_div(x.count, kPairBlock), 1, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) pack_block(call, tiles, plan, x, block);
    });
    run_columns(call, tables, plan, x, buffers);
  }
}

#endif
}  // namespace tenon::cpu
