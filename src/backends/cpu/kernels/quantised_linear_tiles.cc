#include <algorithm>
#include <atomic>

#include "backends/cpu/kernels/quantised_linear.h"
#include "base/thread_pool.h"

// Rows of x rounded to 8 bits through a unit for matrices, which takes the panels of a weight as
// they lie.
namespace tenon::cpu {
namespace {

// The codes of a block of rows stay in L2 beside panels that pass through. Fewer rows than the
// least would read the weight too often.
constexpr int64_t kRowBytes = 3 << 18, kLeastRows = 128, kMostRows = 512;
constexpr int64_t kLineBytes = 64;
// Results that the caches would not keep until they are read.
constexpr int64_t kPastCaches = 1 << 20;
// Panels that a thread takes at once.
constexpr int64_t kPanelBlock = 2;
constexpr int64_t kMinPanelBytes = 16 * 1024, kRoundAlone = 16 * 1024;

int64_t padded(const PanelSizes& sizes) {
  return round_up(sizes.inputs, kMatrixStep);
}

// Rows of a block at most: more of them where m is larger, as a workspace for a bucket wants it.
int64_t most_rows(int64_t m, const PanelSizes& sizes) {
  int64_t most = std::clamp<int64_t>(kRowBytes / padded(sizes), kLeastRows, kMostRows);
  return std::min(m, most / kMatrixBlock * kMatrixBlock);
}
// Blocks of equal size, but for the last.
int64_t row_block(int64_t m, const PanelSizes& sizes) {
  int64_t blocks = ceil_div(m, most_rows(m, sizes));
  return std::min(m, round_up(ceil_div(m, blocks), kMatrixBlock));
}

struct Buffers {
  int8_t* x;              // of MatrixPanel
  float* scales;          // [most_rows and a block]
  int32_t* sums;          // [most_rows]
  char** y;               // [most_rows]
  const char** residual;  // [most_rows]
  float* rows;            // [threads, padded inputs]: x in f32
  float* c;               // [threads, most_rows padded, 32]
  int8_t* unpacked;       // [threads, kMatrixUnpacked]
};

int64_t padded_rows(int64_t rows) {
  return round_up(rows, kMatrixBlock);
}

Buffers take_buffers(const LinearSizes& sizes, const PanelSizes& panels, Workspace& workspace) {
  int64_t threads = process_thread_pool().size(), block = most_rows(sizes.m, panels);
  return {.x = workspace.take<int8_t>(padded_rows(block) * padded(panels)),
          .scales = workspace.take<float>(block + kMatrixBlock),
          .sums = workspace.take<int32_t>(block),
          .y = workspace.take<char*>(block),
          .residual = workspace.take<const char*>(block),
          .rows = workspace.take<float>(threads * padded(panels)),
          .c = workspace.take<float>(threads * padded_rows(block) * kPanelRows),
          .unpacked = workspace.take<int8_t>(threads * kMatrixUnpacked)};
}

// One pass over a block of rows of x.
class RowBlock {
 public:
  RowBlock(const LinearCall& call, const PanelWeight& weight, const Kernels& kernels,
           const Buffers& buffers, int64_t first, int64_t count)
      : call_(call),
        weight_(weight),
        sizes_(weight.sizes),
        kernels_(kernels),
        buffers_(buffers),
        first_(first),
        count_(count),
        block_rows_(ceil_div(count, ceil_div(count, kMatrixBlock))) {}

  void run() {
    ThreadPool& pool = process_thread_pool();
    bool serial = sizes_.panels * weight_.panel_bytes() * count_ < kMinPanelBytes * pool.size();
    find_rows();
    if (serial || count_ * sizes_.inputs <= kRoundAlone) {
      round_rows(0, 0, count_);
    } else {
      pool.run([&](int thread) {
        round_rows(thread, count_ * thread / pool.size(), count_ * (thread + 1) / pool.size());
      });
    }
    std::atomic<int64_t> next{0};
    if (serial) return run_panels(0, next);
    pool.run([&](int thread) { run_panels(thread, next); });
  }

 private:
  void find_rows() {
    bool streams = call_.m * call_.n * call_.y.element_bytes() >= kPastCaches;
    for (int64_t i = 0; i < count_; ++i) {
      buffers_.y[i] = reinterpret_cast<char*>(call_.y.at(first_ + i, 0));
      streams = streams && reinterpret_cast<uintptr_t>(buffers_.y[i]) % kLineBytes == 0;
      if (!call_.residual.defined()) continue;
      buffers_.residual[i] = reinterpret_cast<const char*>(call_.residual.at(first_ + i, 0));
    }
    past_caches_ = streams && call_.y.dtype() != DType::F16;
  }

  // In f32, with zeros behind the last input; x itself where it is so.
  const float* row_of_x(int64_t row, float* buffer) const {
    const std::byte* from = call_.x.at(first_ + row, 0);
    if (call_.x.dtype() == DType::F32 && call_.k == padded(sizes_))
      return reinterpret_cast<const float*>(from);
    kernels_.rows->load(call_.x.dtype(), from, call_.k, buffer);
    std::fill(buffer + call_.k, buffer + padded(sizes_), 0.0f);
    return buffer;
  }
  void round_rows(int thread, int64_t begin, int64_t end) const {
    float* buffer = buffers_.rows + thread * padded(sizes_);
    int64_t bytes = call_.k * call_.x.element_bytes();
    for (int64_t i = begin; i < end; ++i) {
      const std::byte* next = call_.x.at(first_ + std::min(i + 1, end - 1), 0);
      int8_t* to = buffers_.x + i / block_rows_ * kMatrixBlock * padded(sizes_) +
                   i % block_rows_ * kMatrixStep;
      RoundedRow row =
          kernels_.int8_matrix->round_row(row_of_x(i, buffer), padded(sizes_), next, bytes, to);
      buffers_.scales[i] = row.scale;
      buffers_.sums[i] = row.sum;
    }
  }

  // Panels are taken a few at a time, so that a thread that another process disturbs does not hold
  // up the rest; the next ones early enough to be fetched.
  void run_panels(int thread, std::atomic<int64_t>& next) const {
    int64_t begin = next.fetch_add(kPanelBlock), then = next.fetch_add(kPanelBlock);
    while (begin < sizes_.panels) {
      int64_t end = std::min(begin + kPanelBlock, sizes_.panels);
      for (int64_t panel = begin; panel < end; ++panel)
        run_panel(thread, panel, panel + 1 < end ? panel + 1 : std::min(then, sizes_.panels - 1));
      begin = then;
      then = next.fetch_add(kPanelBlock);
    }
  }

  void run_panel(int thread, int64_t panel, int64_t next) const {
    float bias[kPanelRows] = {};
    MatrixPanel matrix;
    matrix.rows = count_;
    matrix.block_rows = static_cast<int>(block_rows_);
    matrix.x = buffers_.x;
    matrix.x_scales = buffers_.scales;
    matrix.x_sums = buffers_.sums;
    matrix.inputs = sizes_.inputs;
    matrix.codes = weight_.panel(panel);
    matrix.scales = weight_.scales_of(panel, 0, sizes_.groups);
    if (weight_.packed) matrix.unpacked = buffers_.unpacked + thread * kMatrixUnpacked;
    matrix.sums = buffers_.c + thread * padded_rows(count_) * kPanelRows;
    matrix.next = weight_.panel(next);
    matrix.results = results_of(panel, bias);
    kernels_.int8_matrix->panel(matrix);
  }
  PanelResults results_of(int64_t panel, float* bias) const {
    PanelResults results;
    results.y = buffers_.y;
    results.y_dtype = call_.y.dtype();
    results.column = panel * kPanelRows;
    results.columns = std::min(kPanelRows, call_.n - results.column);
    if (call_.residual.defined()) {
      results.residual = buffers_.residual;
      results.residual_dtype = call_.residual.dtype();
    }
    if (call_.bias.defined()) {
      auto* from = static_cast<const std::byte*>(call_.bias.data) +
                   dtype_bytes(call_.bias.dtype, results.column);
      kernels_.rows->load(call_.bias.dtype, from, results.columns, bias);
      results.bias = bias;
    }
    results.activation = call_.activation;
    results.activate = kernels_.rows->activate;
    results.past_caches = past_caches_ && results.columns == kPanelRows;
    return results;
  }

  const LinearCall& call_;
  const PanelWeight& weight_;
  const PanelSizes& sizes_;
  const Kernels& kernels_;
  const Buffers& buffers_;
  int64_t first_, count_, block_rows_;
  bool past_caches_ = false;
};

}  // namespace

bool suits_tiles(const PanelWeight& weight, int64_t rows, const Kernels& kernels) {
  bool groups = weight.packed || weight.sizes.groups == 1;
  return kernels.int8_matrix && groups && rows > kernels.int8->max_rows;
}

int64_t int8_tiles_workspace(const LinearSizes& sizes, const PanelSizes& panels) {
  Workspace workspace;
  take_buffers(sizes, panels, workspace);
  return workspace.needed();
}

void run_int8_tiles(const LinearCall& call, const PanelWeight& weight, const Kernels& kernels,
                    Workspace workspace) {
  LinearSizes sizes = {.m = call.m, .n = call.n, .k = call.k};
  Buffers buffers = take_buffers(sizes, weight.sizes, workspace);
  int64_t block = row_block(call.m, weight.sizes);
  for (int64_t first = 0; first < call.m; first += block) {
    RowBlock(call, weight, kernels, buffers, first, std::min(block, call.m - first)).run();
  }
}

}  // namespace tenon::cpu
