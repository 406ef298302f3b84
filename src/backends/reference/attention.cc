#include "ops/attention.h"

#include <algorithm>
#include <cmath>

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

// [batch, rows, heads * head_dim]; a batch of one serves all.
struct Heads {
  Heads(const TensorView& view, int64_t width)
      : rows(view), batches(view.extents[0]), count(view.extents[1]), head_dim(width) {}
  double get(int64_t batch, int64_t row, int64_t head, int64_t dim) const {
    return rows.get((batches == 1 ? 0 : batch) * count + row, head * head_dim + dim);
  }
  Rows rows;
  int64_t batches, count, head_dim;
};

double dot(const std::vector<double>& q, const Rows& table, int64_t row) {
  double sum = 0;
  for (size_t dim = 0; dim < q.size(); ++dim) sum += q[dim] * table.get(row, dim);
  return sum;
}

// The bias of every key for the query in cell `cell`.
std::vector<double> relative_bias(const ops::Attention& op, const ops::RunArgs& args,
                                  const std::vector<double>& q, int64_t cell, int64_t keys) {
  std::vector<double> bias(keys, 0.0);
  if (!input_or_none(args, 3).defined()) return bias;
  Rows rel_h(args.inputs[3]), rel_w(args.inputs[4]);
  for (int64_t key = 0; key < keys; ++key) {
    bias[key] = dot(q, rel_h, cell / op.grid_w - key / op.grid_w + op.grid_h - 1) +
                dot(q, rel_w, cell % op.grid_w - key % op.grid_w + op.grid_w - 1);
  }
  return bias;
}

void attend(const ops::RunArgs& args, int64_t batch, int64_t query, int64_t head) {
  const ops::Attention& op = ops::attributes_of<ops::Attention>(args);
  Heads q(args.inputs[0], op.head_dim), k(args.inputs[1], op.head_dim);
  Heads v(args.inputs[2], op.head_dim);
  std::vector<double> row(op.head_dim);
  for (int64_t dim = 0; dim < op.head_dim; ++dim) row[dim] = q.get(batch, query, head, dim);

  std::vector<double> weights = relative_bias(op, args, row, query, k.count);
  for (int64_t key = 0; key < k.count; ++key) {
    double score = 0;
    for (int64_t dim = 0; dim < op.head_dim; ++dim)
      score += row[dim] * k.get(batch, key, head, dim);
    weights[key] += op.scale * score;
  }
  double largest = *std::max_element(weights.begin(), weights.end()), sum = 0;
  for (double& weight : weights) sum += weight = std::exp(weight - largest);
  for (int64_t dim = 0; dim < op.head_dim; ++dim) {
    double result = 0;
    for (int64_t key = 0; key < k.count; ++key) {
      result += weights[key] / sum * v.get(batch, key, head, dim);
    }
    Rows(args.outputs[0]).set(batch * q.count + query, head * op.head_dim + dim, result);
  }
}

void run(const ops::RunArgs& args) {
  const ops::Attention& op = ops::attributes_of<ops::Attention>(args);
  const Extents& out = args.outputs[0].extents;
  for (int64_t batch = 0; batch < out[0]; ++batch) {
    for (int64_t query = 0; query < out[1]; ++query) {
      for (int64_t head = 0; head < op.heads; ++head) attend(args, batch, query, head);
    }
  }
}

}  // namespace

const ops::Implementation kAttention = {
    .name = "attention__reference",
    .op = ops::Attention::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 1, 2, 3, 4}, {0});
        },
    .prepare = ops::prepare_attributes<ops::Attention>,
    .run = run,
};

}  // namespace tenon::reference
