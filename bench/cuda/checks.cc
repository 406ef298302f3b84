#include <cmath>
#include <cstdio>
#include <limits>
#include <random>

#include "backends/reference/impl_list.h"
#include "bench.h"
#include "operation.h"
#include "ops/kinds.h"
#include "ops/kv_cache.h"
#include "ops/linear.h"

// Every implementation of the CUDA back end against the reference with f64 outputs, on fresh random
// inputs and poisoned outputs. The conformance suite has the derived bounds; this one is about
// sizes and forms it does not reach.
namespace tenon::bench {
namespace {

std::mt19937 g_random(std::random_device{}());

Tensor random_floats(DType dtype, const Extents& extents, double spread = 1.0) {
  Tensor values = Tensor::make(DType::F32, extents);
  std::normal_distribution<float> normal(0.0f, static_cast<float>(spread));
  for (int64_t i = 0; i < values.count(); ++i) values.as<float>()[i] = normal(g_random);
  Tensor result = Tensor::make(dtype, extents);
  copy_convert(values, result);
  return result;
}

Tensor run_reference(const ops::Implementation& reference, const ops::Attributes& attributes,
                     const std::vector<TensorView>& inputs, const Extents& extents) {
  Tensor out = Tensor::make(DType::F64, extents);
  std::vector<TensorView> outputs = {out.view()};
  ops::OpDesc desc{reference.op, 1, &attributes, {}, {}};
  std::shared_ptr<const void> prepared = reference.prepare(desc);
  reference.run({.inputs = inputs,
                 .outputs = outputs,
                 .prepared = prepared.get(),
                 .workspace = {},
                 .stream = nullptr});
  return out;
}

double unit_roundoff(DType dtype) {
  if (dtype == DType::BF16) return 0x1p-8;
  return dtype == DType::F16 ? 0x1p-11 : 0x1p-24;
}

// One rounding into the output's type, and f32 arithmetic relative to the outputs' size. Returns
// the worst error as a share of that.
double worst_share(const TensorView& got, const Tensor& exact, double f32_error) {
  Tensor values = make_f32(got);
  double square = 0, worst = 0;
  for (int64_t i = 0; i < exact.count(); ++i) square += std::pow(exact.as<double>()[i], 2);
  double size = std::sqrt(square / std::max<int64_t>(1, exact.count()));
  for (int64_t i = 0; i < exact.count(); ++i) {
    double wanted = exact.as<double>()[i];
    double error = std::fabs(values.as<float>()[i] - wanted);
    double allowed =
        unit_roundoff(got.dtype) * std::fabs(wanted) + f32_error * (size + std::fabs(wanted));
    // A NaN compares false with everything.
    worst = std::isfinite(error) ? std::max(worst, error / allowed)
                                 : std::numeric_limits<double>::infinity();
    if (!std::isfinite(error)) return worst;
  }
  return worst;
}

const ops::Implementation& reference_of(std::string_view op) {
  for (const ops::Implementation* candidate : reference::implementations()) {
    if (candidate->op == op) return *candidate;
  }
  throw Error(ErrorCode::Internal, "op without a reference");
}

struct Tally {
  int run = 0, wrong = 0, repeats_differ = 0;
  double worst = 0;
};

// Runs it twice over poison: right, and the same bits.
void check_one(Gpu& gpu, Tally& tally, const std::string& name, std::string_view op,
               std::string_view implementation, const ops::Attributes& attributes,
               const std::vector<TensorView>& device_inputs, const Tensor& exact, DType dtype,
               double f32_error) {
  DeviceTensor out(gpu, dtype, exact.extents()), again(gpu, dtype, exact.extents());
  Operation operation(gpu, op, attributes, device_inputs, out.view(), implementation);
  if (!operation.supported()) return;
  operation.run();
  Operation second(gpu, op, attributes, device_inputs, again.view(), implementation);
  second.run();
  Tensor got = out.to_host(gpu), got_again = again.to_host(gpu);
  ++tally.run;
  double share = worst_share(got, exact, f32_error);
  tally.worst = std::max(tally.worst, share);
  if (!(share <= 1)) {
    ++tally.wrong;
    std::printf("WRONG %s %s: %.3g of what is allowed\n", operation.name().c_str(), name.c_str(),
                share);
  }
  if (!std::equal(got.view().byte_span().begin(), got.view().byte_span().end(),
                  got_again.view().byte_span().begin())) {
    ++tally.repeats_differ;
    std::printf("NOT REPEATABLE %s %s\n", operation.name().c_str(), name.c_str());
  }
}

void print(const char* op, const std::string& form, const Tally& tally) {
  std::printf("check %-16s %-24s %4d cases, %d wrong, %d not repeatable, worst %.2f of allowed\n",
              op, form.c_str(), tally.run, tally.wrong, tally.repeats_differ, tally.worst);
}

// The linear input tensors of one case on the device.
struct LinearCase {
  int64_t m, n, k;
  DType x, weight, y, bias, residual;  // Bool: none
  std::string activation;
};

void check_linear_case(Gpu& gpu, const LinearCase& c, std::vector<Tally>& tallies,
                       const std::vector<std::string>& forms) {
  std::vector<Tensor> host;
  host.push_back(random_floats(c.x, {c.m, c.k}));
  host.push_back(random_floats(c.weight, {c.n, c.k}, 1 / std::sqrt(static_cast<double>(c.k))));
  if (c.bias != DType::Bool) host.push_back(random_floats(c.bias, {c.n}));
  if (c.residual != DType::Bool) host.push_back(random_floats(c.residual, {c.m, c.n}));
  std::vector<DeviceTensor> device;
  for (const Tensor& tensor : host) device.push_back(DeviceTensor::copy_of(gpu, tensor));
  std::vector<TensorView> host_views(4), device_views(4);
  size_t next = 0;
  for (size_t port = 0; port < 4; ++port) {
    if ((port == 2 && c.bias == DType::Bool) || (port == 3 && c.residual == DType::Bool)) continue;
    host_views[port] = host[next].view();
    device_views[port] = device[next++].view();
  }
  ops::Attributes attributes =
      ops::to_attributes(ops::Linear{c.activation, std::string(dtype_name(c.y))});
  Tensor exact = run_reference(reference_of("linear"), attributes, host_views, {c.m, c.n});
  std::string name = std::to_string(c.m) + "x" + std::to_string(c.n) + "x" + std::to_string(c.k) +
                     " " + std::string(dtype_name(c.x)) + " " + std::string(dtype_name(c.weight)) +
                     "->" + std::string(dtype_name(c.y)) + (c.bias != DType::Bool ? " bias" : "") +
                     (c.residual != DType::Bool ? " residual " : " ") + c.activation;
  for (size_t i = 0; i < forms.size(); ++i) {
    check_one(gpu, tallies[i], name, "linear", forms[i], attributes, device_views, exact, c.y,
              1e-5);
  }
}

}  // namespace

int check_linear(Gpu& gpu) {
  std::vector<std::string> forms = {"linear_gemv", "linear_cublaslt", "linear_simple"};
  std::vector<Tally> tallies(forms.size());
  constexpr DType kNone = DType::Bool, kF32 = DType::F32, kBf16 = DType::BF16, kF16 = DType::F16;
  const int64_t shapes[][3] = {{1, 64, 64},   {1, 257, 4104}, {2, 8, 8},     {3, 129, 1024},
                               {5, 100, 344}, {8, 4096, 264}, {9, 33, 2048}, {16, 1000, 1032},
                               {1, 5, 11008}, {13, 17, 40},   {17, 65, 129}, {31, 200, 96},
                               {64, 96, 250}, {100, 77, 33},  {1, 37, 1027}};
  const DType types[][5] = {{kBf16, kBf16, kBf16, kNone, kNone}, {kBf16, kBf16, kF32, kNone, kF32},
                            {kF16, kF16, kF16, kF32, kNone},     {kF16, kF16, kF32, kF32, kF32},
                            {kBf16, kBf16, kBf16, kBf16, kBf16}, {kF32, kF32, kF32, kF32, kF32},
                            {kF32, kBf16, kF32, kNone, kNone},   {kBf16, kF16, kF16, kF32, kBf16},
                            {kF32, kF32, kBf16, kBf16, kNone}};
  for (const auto& shape : shapes) {
    for (const auto& type : types) {
      check_linear_case(
          gpu, {shape[0], shape[1], shape[2], type[0], type[1], type[2], type[3], type[4], ""},
          tallies, forms);
    }
  }
  for (std::string_view kind : ops::kUnaryKinds) {
    for (int64_t m : {1, 10, 40}) {
      check_linear_case(gpu, {m, 99, 256, kF16, kF16, kF16, kF32, kNone, std::string(kind)},
                        tallies, forms);
      check_linear_case(gpu, {m, 64, 128, kF32, kF32, kF32, kF32, kF32, std::string(kind)}, tallies,
                        forms);
    }
  }
  int wrong = 0;
  for (size_t i = 0; i < forms.size(); ++i) {
    print("linear", forms[i], tallies[i]);
    wrong += tallies[i].wrong + tallies[i].repeats_differ;
  }
  return wrong;
}

namespace {

struct Seq {
  int32_t cached, fresh;
};

struct AttentionCase {
  int64_t heads, kv_heads, head_dim, block_size, window;
  double softcap;
  DType q, cache;
};

void check_attention_case(Gpu& gpu, const AttentionCase& c, const std::vector<Seq>& seqs,
                          std::vector<Tally>& tallies, const std::vector<std::string>& forms) {
  std::vector<int32_t> offsets = {0}, lengths;
  int32_t longest = 1;
  int64_t needed = 0;
  for (Seq seq : seqs) {
    offsets.push_back(offsets.back() + seq.fresh);
    lengths.push_back(seq.cached + seq.fresh);
    longest = std::max(longest, lengths.back());
    needed += (lengths.back() + c.block_size - 1) / c.block_size;
  }
  int64_t max_blocks = (longest + c.block_size - 1) / c.block_size, tokens = offsets.back();
  auto count = static_cast<int64_t>(seqs.size());
  std::vector<int32_t> blocks(needed + 2), table(count * max_blocks, -1);
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = static_cast<int32_t>(i);
  std::shuffle(blocks.begin(), blocks.end(), g_random);
  size_t next = 0;
  Tensor cache = random_floats(c.cache, {needed + 2, 2, c.kv_heads, c.block_size, c.head_dim});
  for (int64_t seq = 0; seq < count; ++seq) {
    int64_t held = (lengths[seq] + c.block_size - 1) / c.block_size;
    for (int64_t i = 0; i < held; ++i) table[seq * max_blocks + i] = blocks[next++];
  }
  // Positions behind a sequence's end hold NaN, as memory nobody wrote may.
  int64_t element = dtype_bits(c.cache) / 8, row = c.head_dim * element;
  for (int64_t seq = 0; seq < count; ++seq) {
    for (int64_t p = lengths[seq]; p % c.block_size != 0; ++p) {
      int64_t block = table[seq * max_blocks + p / c.block_size];
      for (int64_t part = 0; part < 2 * c.kv_heads; ++part) {
        int64_t at = ((block * 2 * c.kv_heads + part) * c.block_size + p % c.block_size) * row;
        std::fill_n(cache.as<std::byte>() + at, row, std::byte{0xFF});
      }
    }
  }
  auto ints = [](const Extents& extents, const std::vector<int32_t>& values) {
    return Tensor::make_from<int32_t>(DType::I32, extents, std::span<const int32_t>(values));
  };
  std::vector<Tensor> host;
  host.push_back(random_floats(c.q, {tokens, c.heads * c.head_dim}));
  host.push_back(ints({count + 1}, offsets));
  host.push_back(ints({count}, lengths));
  host.push_back(ints({count, max_blocks}, table));
  host.push_back(std::move(cache));
  std::vector<DeviceTensor> device;
  std::vector<TensorView> host_views, device_views;
  for (const Tensor& tensor : host) {
    device.push_back(DeviceTensor::copy_of(gpu, tensor));
    host_views.push_back(tensor.view());
    device_views.push_back(device.back().view());
  }
  ops::PagedAttention op{
      c.heads,  c.kv_heads, c.head_dim, c.window, 1 / std::sqrt(static_cast<double>(c.head_dim)),
      c.softcap};
  ops::Attributes attributes = ops::to_attributes(op);
  Tensor exact = run_reference(reference_of("paged_attention"), attributes, host_views,
                               {tokens, c.heads * c.head_dim});
  std::string name = std::to_string(c.heads) + ":" + std::to_string(c.kv_heads) + "x" +
                     std::to_string(c.head_dim) + " block " + std::to_string(c.block_size) + " " +
                     std::string(dtype_name(c.q)) + " " + std::string(dtype_name(c.cache)) +
                     " window " + std::to_string(c.window) + (c.softcap > 0 ? " softcap" : "") +
                     " tokens " + std::to_string(tokens) + " seqs " + std::to_string(count);
  for (size_t i = 0; i < forms.size(); ++i) {
    check_one(gpu, tallies[i], name, "paged_attention", forms[i], attributes, device_views, exact,
              c.q, 2e-5);
  }
}

}  // namespace

int check_attention(Gpu& gpu) {
  std::vector<std::string> forms = {"paged_attention__", "paged_attention_simple"};
  std::vector<Tally> tallies(forms.size());
  constexpr DType kF32 = DType::F32, kBf16 = DType::BF16, kF16 = DType::F16;
  const AttentionCase cases[] = {
      {4, 4, 128, 16, 0, 0, kBf16, kBf16}, {8, 2, 128, 16, 0, 0, kBf16, kBf16},
      {2, 2, 64, 16, 0, 0, kF16, kF16},    {3, 1, 80, 7, 0, 0, kF16, kF16},
      {2, 1, 96, 32, 0, 0, kBf16, kBf16},  {4, 4, 32, 1, 0, 0, kBf16, kBf16},
      {2, 2, 128, 16, 33, 0, kF16, kF16},  {4, 2, 64, 16, 0, 5, kBf16, kBf16},
      {6, 1, 40, 16, 0, 0, kF32, kF32},    {4, 2, 128, 16, 0, 0, kF32, kBf16},
      {2, 1, 256, 16, 0, 3, kBf16, kBf16}, {3, 3, 17, 5, 9, 0, kF32, kF32},
      {7, 1, 64, 16, 20, 2, kF16, kF16},   {5, 5, 1, 3, 0, 0, kBf16, kF16}};
  const std::vector<Seq> batches[] = {
      {{0, 1}},
      {{700, 1}},
      {{62, 1}, {0, 1}, {127, 1}, {300, 1}},
      {{0, 200}},
      {{130, 70}, {0, 1}},
      {{0, 17}, {31, 1}, {5, 3}, {0, 0}, {64, 1}, {15, 133}, {9, 0}},
      {{0, 2}, {3, 0}}};
  for (const AttentionCase& c : cases) {
    for (const std::vector<Seq>& seqs : batches) check_attention_case(gpu, c, seqs, tallies, forms);
  }
  int wrong = 0;
  for (size_t i = 0; i < forms.size(); ++i) {
    print("paged_attention", forms[i], tallies[i]);
    wrong += tallies[i].wrong + tallies[i].repeats_differ;
  }
  return wrong;
}

}  // namespace tenon::bench
