#include "backends/cpu/kernels/attention_few.h"

#include <algorithm>

#include "backends/cpu/kernels/ranges.h"

namespace tenon::cpu {
namespace {

constexpr int64_t kLeastQueries = 64, kMostDims = 128;
constexpr int64_t kRows = 32;  // of q that are in f32 at once

struct Buffers {
  float *k, *v;    // [batch * heads, dims, kFewKeys], [batch * heads, keys, dims]
  float* valid;    // [kFewKeys]
  float *q, *out;  // [threads, kRows, heads * dims]
};

Buffers take_buffers(const AttentionShape& shape, Workspace& workspace) {
  int64_t heads = shape.batch * shape.heads, threads = process_thread_pool().size();
  Buffers buffers{};
  buffers.k = workspace.take<float>(heads * shape.head_dim * kFewKeys);
  buffers.v = workspace.take<float>(heads * shape.keys * shape.head_dim);
  buffers.valid = workspace.take<float>(kFewKeys);
  buffers.q = workspace.take<float>(threads * kRows * shape.heads * shape.head_dim);
  buffers.out = workspace.take<float>(threads * kRows * shape.heads * shape.head_dim);
  return buffers;
}

void pack_head(const AttentionShape& shape, const AttentionTensors& tensors, const HeadRows& rows,
               const RowKernels& kernels, float scale, float* k, float* v) {
  int64_t dims = shape.head_dim;
  for (int64_t key = 0; key < kFewKeys; ++key) {
    float row[kMostDims];
    kernels.load(tensors.k.dtype(), rows.key(key < shape.keys ? key : 0), dims, row);
    for (int64_t dim = 0; dim < dims; ++dim) k[dim * kFewKeys + key] = row[dim] * scale;
  }
  for (int64_t key = 0; key < shape.keys; ++key)
    kernels.load(tensors.v.dtype(), rows.value(key), dims, v + key * dims);
}

}  // namespace

bool has_few_keys(const AttentionShape& shape) {
  return shape.keys <= kFewKeys && shape.queries >= kLeastQueries && shape.grid_h == 0 &&
         shape.window == 0 && shape.head_dim % 16 == 0 && shape.head_dim <= kMostDims;
}

int64_t few_keys_workspace(const AttentionShape& shape) {
  Workspace workspace;
  take_buffers(shape, workspace);
  return workspace.needed();
}

void attend_few_keys(const AttentionShape& shape, const AttentionTensors& tensors, float scale,
                     const Kernels& kernels, Workspace workspace) {
  Buffers buffers = take_buffers(shape, workspace);
  int64_t dims = shape.head_dim, heads = shape.batch * shape.heads, width = shape.heads * dims;
  for (int64_t i = 0; i < kFewKeys; ++i) buffers.valid[i] = i < shape.keys ? 1.0f : 0.0f;
  for (int64_t head = 0; head < heads; ++head) {
    HeadRows rows(shape, tensors, head / shape.heads, head % shape.heads);
    pack_head(shape, tensors, rows, *kernels.rows, scale, buffers.k + head * dims * kFewKeys,
              buffers.v + head * shape.keys * dims);
  }
  int64_t blocks = ceil_div(shape.queries, kRows);
  for_ranges(shape.batch * blocks, 1, [&](int thread, int64_t begin, int64_t end) {
    float* q = buffers.q + thread * kRows * width;
    float* out = buffers.out + thread * kRows * width;
    for (int64_t block = begin; block < end; ++block) {
      int64_t batch = block / blocks, first = block % blocks * kRows;
      int64_t count = std::min(kRows, shape.queries - first);
      HeadRows rows(shape, tensors, batch, 0);
      for (int64_t i = 0; i < count; ++i)
        kernels.rows->load(tensors.q.dtype(), rows.query(first + i), width, q + i * width);
      for (int64_t head = 0; head < shape.heads; ++head) {
        int64_t at = batch * shape.heads + head;
        FewKeys keys = {.k = buffers.k + at * dims * kFewKeys,
                        .v = buffers.v + at * shape.keys * dims,
                        .valid = buffers.valid,
                        .count = shape.keys,
                        .dims = dims};
        kernels.attention->attend_few(keys, q + head * dims, width, count, out + head * dims,
                                      width);
      }
      for (int64_t i = 0; i < count; ++i)
        kernels.rows->store(tensors.out.dtype(), out + i * width, width, rows.result(first + i));
    }
  });
}

}  // namespace tenon::cpu
