#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <optional>

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

// A key of a query: a row of k and v, or a cell beyond the grid; and where both lie among the cells
// that positions count.
struct Key {
  int64_t row = 0;  // -1: beyond the grid
  int64_t down = 0, right = 0;
};

std::vector<Key> keys_of(const ops::Attention& op, int64_t query, int64_t count) {
  std::vector<Key> keys;
  int64_t width = std::max<int64_t>(op.grid_w, 1), row = query / width, column = query % width;
  if (op.window == 0) {
    for (int64_t i = 0; i < count; ++i) keys.push_back({i, row - i / width, column - i % width});
    return keys;
  }
  int64_t top = row / op.window * op.window, left = column / op.window * op.window;
  for (int64_t y = top; y < top + op.window; ++y) {
    for (int64_t x = left; x < left + op.window; ++x) {
      bool inside = y < op.grid_h && x < op.grid_w;
      keys.push_back({inside ? y * op.grid_w + x : -1, row - y, column - x});
    }
  }
  return keys;
}

// Element of k (port 1) or v (port 2) at a key.
class KeyRows {
 public:
  KeyRows(const ops::RunArgs& args, size_t port, int64_t head_dim)
      : rows_(args.inputs[port], head_dim) {
    TensorView pad = input_or_none(args, port + 4);
    if (pad.defined()) pad_.emplace(pad);
  }
  double get(int64_t batch, const Key& key, int64_t head, int64_t dim) const {
    if (key.row >= 0) return rows_.get(batch, key.row, head, dim);
    return pad_ ? pad_->get(0, head * rows_.head_dim + dim) : 0.0;
  }

 private:
  Heads rows_;
  std::optional<Rows> pad_;
};

void attend(const ops::RunArgs& args, int64_t batch, int64_t query, int64_t head) {
  const ops::Attention& op = ops::attributes_of<ops::Attention>(args);
  Heads q(args.inputs[0], op.head_dim);
  KeyRows k(args, 1, op.head_dim), v(args, 2, op.head_dim);
  std::vector<double> row(op.head_dim);
  for (int64_t dim = 0; dim < op.head_dim; ++dim) row[dim] = q.get(batch, query, head, dim);

  std::vector<Key> keys = keys_of(op, query, args.inputs[1].extents[1]);
  std::vector<double> weights(keys.size(), 0.0);
  bool relative = input_or_none(args, 3).defined();
  int64_t high = op.window > 0 ? op.window : op.grid_h;
  int64_t wide = op.window > 0 ? op.window : op.grid_w;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (relative) {
      weights[i] = dot(row, Rows(args.inputs[3]), keys[i].down + high - 1) +
                   dot(row, Rows(args.inputs[4]), keys[i].right + wide - 1);
    }
    double score = 0;
    for (int64_t dim = 0; dim < op.head_dim; ++dim)
      score += row[dim] * k.get(batch, keys[i], head, dim);
    weights[i] += op.scale * score;
  }
  double largest = *std::max_element(weights.begin(), weights.end()), sum = 0;
  for (double& weight : weights) sum += weight = std::exp(weight - largest);
  for (int64_t dim = 0; dim < op.head_dim; ++dim) {
    double result = 0;
    for (size_t i = 0; i < keys.size(); ++i)
      result += weights[i] / sum * v.get(batch, keys[i], head, dim);
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
          return support_floats(desc, {0, 1, 2, 3, 4, 5, 6}, {0});
        },
    .prepare = ops::prepare_attributes<ops::Attention>,
    .run = run,
};

}  // namespace tenon::reference
