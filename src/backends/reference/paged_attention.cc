#include <algorithm>
#include <cmath>

#include "backends/reference/impl_list.h"
#include "backends/reference/paged_cache.h"
#include "ops/kv_cache.h"

namespace tenon::reference {
namespace {

// Attention of one query head at `position` over positions [begin, position].
std::vector<double> attend(const ops::PagedAttention& op, const PagedCache& cache,
                           const std::vector<double>& q, int64_t head, int64_t seq,
                           int64_t position) {
  int64_t kv_head = head / (op.heads / op.kv_heads);
  int64_t begin = op.window > 0 ? std::max<int64_t>(0, position - op.window + 1) : 0;

  std::vector<double> weights;
  for (int64_t p = begin; p <= position; ++p) {
    double score = 0;
    for (int64_t dim = 0; dim < op.head_dim; ++dim) {
      score += q[head * op.head_dim + dim] * cache.get(CachePart::K, seq, kv_head, p, dim);
    }
    score *= op.scale;
    if (op.softcap > 0) score = op.softcap * std::tanh(score / op.softcap);
    weights.push_back(score);
  }
  double largest = *std::max_element(weights.begin(), weights.end()), sum = 0;
  for (double& weight : weights) sum += weight = std::exp(weight - largest);

  std::vector<double> out(op.head_dim, 0.0);
  for (int64_t p = begin; p <= position; ++p) {
    for (int64_t dim = 0; dim < op.head_dim; ++dim) {
      out[dim] += weights[p - begin] / sum * cache.get(CachePart::V, seq, kv_head, p, dim);
    }
  }
  return out;
}

void run(const ops::RunArgs& args) {
  const ops::PagedAttention& op = ops::attributes_of<ops::PagedAttention>(args);
  Rows q(args.inputs[0]), out(args.outputs[0]);
  PagedCache cache{args.inputs[4], args.inputs[3]};
  for_each_token(args.inputs[1], args.inputs[2], [&](int64_t t, int64_t seq, int64_t position) {
    std::vector<double> query = q.get_row(t);
    for (int64_t head = 0; head < op.heads; ++head) {
      std::vector<double> result = attend(op, cache, query, head, seq, position);
      for (int64_t dim = 0; dim < op.head_dim; ++dim) {
        out.set(t, head * op.head_dim + dim, result[dim]);
      }
    }
  });
}

}  // namespace

const ops::Implementation kPagedAttention = {
    .name = "paged_attention__reference",
    .op = ops::PagedAttention::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 4}, {0});
        },
    .prepare = ops::prepare_attributes<ops::PagedAttention>,
    .run = run,
};

}  // namespace tenon::reference
