#include "ops/attention.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/reduce.cuh"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

// The form for everything: any mix of f32, bf16 and f16, any head. A block per query and head:
// scores of 128 keys at a time, one a thread, then their rows of v. A query's products with the
// relative positions are as many as the grid has rows and columns, and made first.
namespace tenon::cuda {
namespace {

using device::Any;
constexpr int kThreads = 128;
constexpr int64_t kMostShared = 48 << 10;

struct Params {
  Matrix<Any> q, k, v, rel_h, rel_w, out;
  device::Array<Any> pad_k, pad_v;
  int q_batches, kv_batches, queries, keys, head_dim;
  int side_h, side_w;  // cells that positions count: of the grid, or of a window; 0: no positions
  int window, grid_h, grid_w;
  float scale;
};

// Where the keys of a query lie.
struct Place {
  int row, column;  // of the query, in the grid or its window
  int top, left;    // of the window in the grid

  __device__ Place(const Params& p, int query) {
    int wide = max(p.grid_w, 1);
    row = query / wide, column = query % wide, top = left = 0;
    if (p.window == 0) return;
    top = row / p.window * p.window, left = column / p.window * p.window;
    row -= top, column -= left;
  }
  // The row of k and v that a key is; -1: beyond the grid.
  __device__ int row_of(const Params& p, int key) const {
    if (p.window == 0) return key;
    int y = top + key / p.window, x = left + key % p.window;
    return y < p.grid_h && x < p.grid_w ? y * p.grid_w + x : -1;
  }
};

__device__ __forceinline__ float get_or_pad(const Matrix<Any>& from, const device::Array<Any>& pad,
                                            int64_t first, int row, int64_t column) {
  if (row >= 0) return get(from, first + row, column);
  return pad.data ? device::load_one(pad, column) : 0.0f;
}

// bias[i] = q . table[at - i + extent - 1] for the rows or the columns of the grid.
__device__ void make_bias(const Params& p, const float* q, const Matrix<Any>& table, int at,
                          int extent, float* bias) {
  for (int i = threadIdx.x; i < extent; i += kThreads) {
    int64_t row = at - i + extent - 1;
    float sum = 0.0f;
    for (int dim = 0; dim < p.head_dim; ++dim) sum = fmaf(q[dim], get(table, row, dim), sum);
    bias[i] = sum;
  }
}

__global__ void __launch_bounds__(kThreads) attention_kernel(Params p) {
  extern __shared__ float shared[];
  __shared__ float scratch[kThreads / device::kWarp], weights[kThreads];
  float *q = shared, *out = q + p.head_dim, *down = out + p.head_dim, *right = down + p.side_h;
  device::let_next_start();
  device::wait_for_previous();
  int batch = blockIdx.x / p.queries, query = blockIdx.x % p.queries;
  int64_t column = static_cast<int64_t>(blockIdx.y) * p.head_dim;
  int64_t q_row = static_cast<int64_t>(p.q_batches == 1 ? 0 : batch) * p.queries + query;
  // Of windows k and v have as many rows as q.
  int kv_rows = p.window > 0 ? p.queries : p.keys;
  int64_t first_key = static_cast<int64_t>(p.kv_batches == 1 ? 0 : batch) * kv_rows;
  Place place(p, query);
  for (int i = threadIdx.x; i < p.head_dim; i += kThreads) {
    q[i] = get(p.q, q_row, column + i);
    out[i] = 0.0f;
  }
  __syncthreads();
  if (p.side_h > 0) {
    make_bias(p, q, p.rel_h, place.row, p.side_h, down);
    make_bias(p, q, p.rel_w, place.column, p.side_w, right);
    __syncthreads();
  }
  float largest = -INFINITY, sum = 0.0f;
  for (int first = 0; first < p.keys; first += kThreads) {
    int key = first + threadIdx.x, count = min(kThreads, p.keys - first);
    float score = -INFINITY;
    if (key < p.keys) {
      int row = place.row_of(p, key);
      float dot = 0.0f;
      for (int i = 0; i < p.head_dim; ++i)
        dot = fmaf(q[i], get_or_pad(p.k, p.pad_k, first_key, row, column + i), dot);
      score = p.scale * dot;
      if (p.side_h > 0) score += down[key / p.side_w] + right[key % p.side_w];
    }
    float new_largest = fmaxf(largest, device::block_reduce(score, scratch, device::Max{}));
    float weight = expf(score - new_largest), rescale = expf(largest - new_largest);
    weights[threadIdx.x] = weight;
    // Its barriers also make the weights known to all.
    sum = sum * rescale + device::block_reduce(weight, scratch, device::Sum{});
    largest = new_largest;
    for (int i = threadIdx.x; i < p.head_dim; i += kThreads) {
      float total = out[i] * rescale;
      for (int j = 0; j < count; ++j) {
        int row = place.row_of(p, first + j);
        total = fmaf(weights[j], get_or_pad(p.v, p.pad_v, first_key, row, column + i), total);
      }
      out[i] = total;
    }
    __syncthreads();
  }
  int64_t to = p.out.layout.offset(static_cast<int64_t>(batch) * p.queries + query);
  for (int i = threadIdx.x; i < p.head_dim; i += kThreads) {
    float value[1] = {out[i] / sum};
    p.out.store(to, column + i, value);
  }
}

int64_t shared_bytes(const ops::Attention& op) {
  int64_t sides = op.window > 0 ? 2 * op.window : op.grid_h + op.grid_w;
  return (2 * op.head_dim + sides) * static_cast<int64_t>(sizeof(float));
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_floats(desc, {0, 1, 2, 3, 4, 5, 6}, {0});
  if (!support.ok) return support;
  auto op = ops::read_attributes<ops::Attention>(*desc.attributes);
  if (shared_bytes(op) > kMostShared - (1 << 10)) {
    return ops::Support::no("head and grid are larger than shared memory");
  }
  if (op.heads > 65535) return ops::Support::no("more than 65535 heads");
  int64_t most = int64_t{1} << 30;
  if (desc.outputs[0].extents.count() > most || desc.inputs[1].extents.count() > most) {
    return ops::Support::no("more than 2^30 values");
  }
  return support;
}

void run(const ops::RunArgs& args) {
  const ops::Attention& op = ops::attributes_of<ops::Attention>(args);
  const TensorView &q = args.inputs[0], &k = args.inputs[1], &out = args.outputs[0];
  if (out.count() == 0) return;
  TensorView rel_h = input_or_none(args, 3), rel_w = input_or_none(args, 4);
  bool has_positions = rel_h.defined();
  auto number = [](int64_t value) { return static_cast<int>(value); };
  Params params{.q = matrix_of<Any>(q),
                .k = matrix_of<Any>(k),
                .v = matrix_of<Any>(args.inputs[2]),
                .rel_h = matrix_of<Any>(rel_h),
                .rel_w = matrix_of<Any>(rel_w),
                .out = matrix_of<Any>(out),
                .pad_k = array_of<Any>(input_or_none(args, 5)),
                .pad_v = array_of<Any>(input_or_none(args, 6)),
                .q_batches = number(q.extents[0]),
                .kv_batches = number(k.extents[0]),
                .queries = number(out.extents[1]),
                .keys = number(op.window > 0 ? op.window * op.window : k.extents[1]),
                .head_dim = number(op.head_dim),
                .side_h = number(!has_positions  ? 0
                                 : op.window > 0 ? op.window
                                                 : op.grid_h),
                .side_w = number(!has_positions  ? 0
                                 : op.window > 0 ? op.window
                                                 : op.grid_w),
                .window = number(op.window),
                .grid_h = number(op.grid_h),
                .grid_w = number(op.grid_w),
                .scale = static_cast<float>(op.scale)};
  dim3 grid(static_cast<unsigned>(out.rows()), static_cast<unsigned>(op.heads));
  launch(attention_kernel, kAttention.name, {grid, dim3(kThreads), shared_bytes(op), true},
         stream_of(args), params);
}

}  // namespace

const ops::Implementation kAttention = {.name = "attention__any__1x128__sm80",
                                        .op = ops::Attention::kName,
                                        .supports = supports,
                                        .prepare = ops::prepare_attributes<ops::Attention>,
                                        .run = run};

}  // namespace tenon::cuda
