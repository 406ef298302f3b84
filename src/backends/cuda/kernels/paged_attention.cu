#include "backends/cuda/kernels/paged_attention.cuh"

#include <bit>
#include <cstdlib>

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/array.cuh"
#include "backends/cuda/kernels/device/reduce.cuh"
#include "backends/cuda/kernels/dispatch.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

// The entries of `paged_attention`, and its form for everything.
namespace tenon::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int64_t kMostHeadDim = 2048;

// A block per token and head: scores of 128 positions at a time, one a thread, then their V rows.
template <class Cache, class Score>
__global__ void __launch_bounds__(kThreads)
    paged_attention_simple_kernel(AttentionParams p, Score score) {
  extern __shared__ float shared[];
  __shared__ float scratch[kThreads / device::kWarp];
  __shared__ int64_t rows[kThreads];
  float *q = shared, *out = shared + p.head_dim, *weights = shared + 2 * p.head_dim;
  device::let_next_start();
  device::wait_for_previous();
  int token = blockIdx.x, head = blockIdx.y;
  device::TokenPlace place = device::find_token(p, token);
  if (place.seq < 0) return;
  int kv_head = head / (p.heads / p.kv_heads);
  const Cache* cache = static_cast<const Cache*>(p.cache);
  device::Array<device::Any> queries{const_cast<void*>(p.q), p.dtype}, results{p.out, p.out_dtype};
  for (int i = threadIdx.x; i < p.head_dim; i += kThreads) {
    q[i] = device::load_one(queries, token * p.q_pitch + head * p.head_dim + i);
    out[i] = 0.0f;
  }
  __syncthreads();

  float largest = -INFINITY, sum = 0.0f;
  for (int first = device::first_visible(p, place.position); first <= place.position;
       first += kThreads) {
    int position = first + threadIdx.x, count = min(kThreads, place.position - first + 1);
    float value = -INFINITY;
    if (position <= place.position) {
      rows[threadIdx.x] = device::row_offset(p, place.seq, kv_head, position);
      float dot = 0.0f;
#pragma unroll 4  // more than that spills on older architectures
      for (int i = 0; i < p.head_dim; ++i) {
        dot = fmaf(q[i], device::to_f32(cache[rows[threadIdx.x] + i]), dot);
      }
      value = score(dot, position, head);
    }
    float new_largest = fmaxf(largest, device::block_reduce(value, scratch, device::Max{}));
    float weight = exp2f(value - new_largest), rescale = exp2f(largest - new_largest);
    weights[threadIdx.x] = weight;
    // Its barriers also make rows and weights known to all.
    sum = sum * rescale + device::block_reduce(weight, scratch, device::Sum{});
    largest = new_largest;
    for (int i = threadIdx.x; i < p.head_dim; i += kThreads) {
      float total = out[i] * rescale;
#pragma unroll 4
      for (int j = 0; j < count; ++j) {
        total = fmaf(weights[j], device::to_f32(cache[rows[j] + p.part_stride + i]), total);
      }
      out[i] = total;
    }
    __syncthreads();
  }
  for (int i = threadIdx.x; i < p.head_dim; i += kThreads) {
    device::store_one(results, token * p.out_pitch + head * p.head_dim + i, out[i] / sum);
  }
}

struct Prepared {
  ops::PagedAttention op;
  int splits = 0;
};

constexpr std::string_view kSplits = "splits ";

std::shared_ptr<const void> prepare(const ops::OpDesc& desc) {
  Prepared prepared{ops::read_attributes<ops::PagedAttention>(*desc.attributes)};
  if (desc.variant.starts_with(kSplits)) {
    prepared.splits = std::atoi(desc.variant.c_str() + kSplits.size());
  }
  return std::make_shared<const Prepared>(prepared);
}

// Only decoding is split; a prompt's tiles are as they are.
std::vector<std::string> variants(const ops::OpDesc& desc) {
  if (desc.inputs[0].extents[0] > desc.inputs[2].extents[0]) return {};
  std::vector<std::string> names;
  for (const char* count : {"1", "2", "4", "8", "16"})
    names.push_back(std::string(kSplits) + count);
  return names;
}

AttentionParams params_of(const ops::RunArgs& args) {
  const auto& prepared = *static_cast<const Prepared*>(args.prepared);
  const ops::PagedAttention& op = prepared.op;
  const TensorView &q = args.inputs[0], &table = args.inputs[3], &cache = args.inputs[4];
  AttentionParams p{};
  p.q = q.data;
  p.out = args.outputs[0].data;
  p.seq_offsets = args.inputs[1].as<const int>();
  p.kv_lengths = args.inputs[2].as<const int>();
  p.block_table = table.as<const int>();
  p.cache = cache.data;
  p.q_pitch = q.strides[0];
  p.out_pitch = args.outputs[0].strides[0];
  p.table_pitch = table.strides[0];
  p.block_stride = cache.strides[0];
  p.part_stride = cache.strides[1];
  p.head_stride = cache.strides[2];
  p.row_stride = cache.strides[3];
  p.dtype = q.dtype;
  p.out_dtype = args.outputs[0].dtype;
  p.tokens = static_cast<int>(q.extents[0]);
  p.seqs = static_cast<int>(args.inputs[2].extents[0]);
  p.heads = static_cast<int>(op.heads);
  p.kv_heads = static_cast<int>(op.kv_heads);
  p.head_dim = static_cast<int>(op.head_dim);
  p.window = static_cast<int>(std::min<int64_t>(op.window, INT32_MAX));
  p.blocks = static_cast<int>(cache.extents[0]);
  p.block_size = static_cast<int>(cache.extents[3]);
  auto size = static_cast<unsigned>(p.block_size);
  p.block_shift = std::has_single_bit(size) ? std::countr_zero(size) : -1;
  p.scale = static_cast<float>(op.scale);
  p.softcap = static_cast<float>(op.softcap);
  p.most_positions = table.extents[1] * cache.extents[3];
  p.splits = prepared.splits;
  return p;
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_floats(desc, {0, 4}, {0});
  if (!support.ok) return support;
  if (desc.inputs[4].extents[4] > kMostHeadDim) return ops::Support::no("head_dim is above 2048");
  if (desc.inputs[4].extents[0] >= INT32_MAX || desc.inputs[4].extents[3] >= INT32_MAX) {
    return ops::Support::no("the cache has 2^31 blocks or positions a block");
  }
  if (desc.inputs[0].extents[1] / desc.inputs[4].extents[4] > 65535) {
    return ops::Support::no("more than 65535 heads");
  }
  return support;
}

// Sizes are known here, lengths are not: they lie on the device. As many tokens as sequences is
// decoding, whichever sequences have them.
void run(const ops::RunArgs& args) {
  AttentionParams params = params_of(args);
  if (params.tokens == 0 || params.seqs == 0) return;
  DType cache = args.inputs[4].dtype;
  cudaStream_t stream = stream_of(args);
  if (params.tokens > params.seqs && fits_wgmma_attention(params, cache)) {
    run_wgmma_attention(params, stream);
  } else if (params.tokens > params.seqs && fits_flash_attention(params, cache)) {
    run_flash_attention(params, stream);
  } else if (fits_decode_attention(params, cache)) {
    run_decode_attention(params, stream);
  } else if (fits_split_attention(params, cache)) {
    run_split_attention(params, cache, stream);
  } else {
    run_simple_attention(params, cache, stream);
  }
}

void run_simple(const ops::RunArgs& args) {
  AttentionParams params = params_of(args);
  if (params.tokens == 0 || params.seqs == 0) return;
  run_simple_attention(params, args.inputs[4].dtype, stream_of(args));
}

}  // namespace

void run_simple_attention(const AttentionParams& p, DType cache, cudaStream_t stream) {
  int64_t shared = (2 * p.head_dim + kThreads) * static_cast<int64_t>(sizeof(float));
  LaunchShape shape{dim3(p.tokens, p.heads), dim3(kThreads), shared, true};
  dispatch_float(cache, [&](auto type) {
    using Cache = typename decltype(type)::type;
    auto with = [&](auto score) {
      launch(paged_attention_simple_kernel<Cache, decltype(score)>, "paged_attention_simple", shape,
             stream, p, score);
    };
    p.softcap > 0 ? with(device::SoftcappedScore(p)) : with(device::ScaledScore(p));
  });
}

const ops::Implementation kPagedAttention = {
    .name = "paged_attention__any__flash_split__sm80",
    .op = ops::PagedAttention::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          ops::Support support = supports(desc);
          if (!support.ok) return support;
          int64_t head_dim = desc.inputs[4].extents[4];
          if (head_dim % 8 != 0) return ops::Support::no("head_dim is no multiple of 8");
          if (head_dim > 256) return ops::Support::no("head_dim is above 256");
          return support;
        },
    .prepare = prepare,
    .run = run,
    .variants = variants};

const ops::Implementation kPagedAttentionSimple = {
    .name = "paged_attention_simple__any__1x128__sm80",
    .op = ops::PagedAttention::kName,
    .supports = supports,
    .prepare = prepare,
    .run = run_simple};

}  // namespace tenon::cuda
