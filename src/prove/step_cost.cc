#include "prove/step_cost.h"

#include <algorithm>

#include "ops/embedding.h"
#include "ops/gather_rows.h"
#include "ops/kv_cache.h"
#include "ops/linear.h"
#include "ops/quantised_linear.h"

namespace tenon::prove {
namespace {

double bytes_of(const ValueType& type, const SymbolValues& symbols) {
  return static_cast<double>(dtype_bytes(type.dtype, evaluate(type.shape, symbols).count()));
}

double count_of(const ValueType& type, const SymbolValues& symbols) {
  return static_cast<double>(evaluate(type.shape, symbols).count());
}

// Of all sequences: each new token sees the positions up to its own, at most the window.
double seen_positions(const Batch& batch, int64_t window) {
  double sum = 0;
  for (int64_t i = 0; i < batch.tokens_each; ++i) {
    int64_t position = batch.context - batch.tokens_each + i + 1;
    sum += static_cast<double>(window > 0 ? std::min(window, position) : position);
  }
  return sum * static_cast<double>(batch.seqs);
}

class Costs {
 public:
  Costs(const plan::Stage& stage, const SymbolValues& symbols, const Batch& batch)
      : stage_(stage), symbols_(symbols), batch_(batch) {}

  StepCost of(const plan::Step& step) const {
    StepCost cost;
    for (int32_t output : step.outputs) {
      cost.bytes += bytes_of(type(output), symbols_);
      cost.flops += count_of(type(output), symbols_);
    }
    // A table is read in the rows that are asked for: as many bytes as are written.
    int table = step.op == ops::Embedding::kName ? 1 : step.op == ops::GatherRows::kName ? 0 : -1;
    for (size_t port = 0; port < step.inputs.size(); ++port) {
      int32_t input = step.inputs[port];
      if (input < 0 || stage_.values[input].role == plan::ValueRole::State) continue;
      bool rows_only = static_cast<int>(port) == table;
      cost.bytes += rows_only ? rows_of_table(step, type(input)) : bytes_of(type(input), symbols_);
    }
    if (step.op == ops::Linear::kName) {
      double rows = count_of(type(step.outputs[0]), symbols_);
      cost.flops += 2 * rows * static_cast<double>(last_of(type(step.inputs[1])));
    }
    if (step.op == ops::QuantisedLinear::kName) {
      auto op = ops::read_attributes<ops::QuantisedLinear>(step.attributes);
      double rows = count_of(type(step.outputs[0]), symbols_);
      double products = 2 * rows * static_cast<double>(op.in);
      cost.flops += products;
      if (!op.x_codes.empty()) cost.int8_operations += products;
    }
    add_cache(step, cost);
    return cost;
  }

 private:
  const ValueType& type(int32_t value) const { return stage_.values[value].type; }
  int64_t last_of(const ValueType& value) const { return value.shape.back().evaluate(symbols_); }

  double rows_of_table(const plan::Step& step, const ValueType& table) const {
    double elements = count_of(type(step.outputs[0]), symbols_);
    return elements * dtype_bits(table.dtype) / 8;
  }

  // The cache is [blocks, 2, kv_heads, block_size, head_dim].
  void add_cache(const plan::Step& step, StepCost& cost) const {
    bool reads = step.op == ops::PagedAttention::kName;
    bool writes = step.op == ops::KvAppend::kName || step.op == ops::RopeKvAppend::kName;
    if (!reads && !writes) return;
    const ValueType& cache = type(step.inputs.back());
    double position = 2.0 * static_cast<double>(cache.shape[2].evaluate(symbols_)) *
                      static_cast<double>(cache.shape[4].evaluate(symbols_)) *
                      dtype_bits(cache.dtype) / 8;
    if (writes) {
      cost.bytes += position * static_cast<double>(batch_.seqs * batch_.tokens_each);
      return;
    }
    auto attention = ops::read_attributes<ops::PagedAttention>(step.attributes);
    int64_t held = batch_.context;
    if (attention.window > 0) {
      held = std::min(held, attention.window + batch_.tokens_each - 1);
    }
    cost.bytes += position * static_cast<double>(batch_.seqs * held);
    cost.flops += 4 * static_cast<double>(attention.heads * attention.head_dim) *
                  seen_positions(batch_, attention.window);
  }

  const plan::Stage& stage_;
  const SymbolValues& symbols_;
  const Batch& batch_;
};

}  // namespace

double StepCost::arithmetic_seconds(const Ceilings& ceilings) const {
  if (ceilings.int8_operations <= 0) return flops / ceilings.flops;
  return (flops - int8_operations) / ceilings.flops + int8_operations / ceilings.int8_operations;
}

double StepCost::least_seconds(const Ceilings& ceilings) const {
  return std::max(bytes / ceilings.bytes_per_second, arithmetic_seconds(ceilings));
}

bool multiplies_codes(const plan::Stage& stage) {
  return std::any_of(stage.steps.begin(), stage.steps.end(), [](const plan::Step& step) {
    return step.op == ops::QuantisedLinear::kName &&
           !ops::read_attributes<ops::QuantisedLinear>(step.attributes).x_codes.empty();
  });
}

std::vector<StepCost> step_costs(const plan::Stage& stage, const SymbolValues& symbols,
                                 const Batch& batch) {
  std::vector<StepCost> costs;
  Costs table(stage, symbols, batch);
  for (const plan::Step& step : stage.steps) costs.push_back(table.of(step));
  return costs;
}

}  // namespace tenon::prove
