#include "ops/sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "backends/reference/impl_list.h"
#include "conformance.h"
#include "tolerance.h"

namespace tenon::conformance {
namespace {

struct RowSettings {
  double temperature = 1, top_p = 1, penalty = 1, uniform = 0.5;
  int32_t top_k = 0;
};

struct SampleCase {
  std::string name;
  int64_t vocab;
  std::vector<RowSettings> rows;
  double spread = 2;
  bool ties = false;  // logits on a coarse grid: many equal ones
  bool history = false;
  int64_t banned = 0;  // ids a row; 0: input absent
  Layout layout = Layout::Contiguous;
};

enum Input {
  kLogits,
  kTemperature,
  kTopK,
  kTopP,
  kPenalty,
  kUniformInput,
  kHistory,
  kOffsets,
  kBanned
};

template <class Get>
Operand column(const std::vector<RowSettings>& rows, Get get) {
  std::vector<double> values;
  for (const RowSettings& row : rows) values.push_back(get(row));
  return floats(DType::F32, {std::ssize(rows)}, values);
}

void add_history(Case& test_case, Random& random, const SampleCase& c) {
  std::vector<int32_t> history, offsets = {0};
  for (size_t row = 0; row < c.rows.size(); ++row) {
    for (size_t i = 0; c.history && i < 3 * row + 4; ++i) {
      history.push_back(static_cast<int32_t>(random.below(c.vocab)));
    }
    if (c.history && row % 2 == 0) {
      history.push_back(history.back());  // counts once
      history.push_back(-1);              // a given embedding, no token
    }
    offsets.push_back(static_cast<int32_t>(history.size()));
  }
  test_case.inputs.push_back(ints(history).in_bucket({std::ssize(history) + 50}));
  test_case.inputs.push_back(ints(offsets));
}

Case make_case(const SampleCase& c) {
  Random random(c.name);
  Case result{c.name, ops::to_attributes(ops::Sample{}), {}};
  result.output_count = 2;
  auto rows = std::ssize(c.rows);
  result.inputs.push_back(
      random_floats(random, DType::F32, {rows, c.vocab}, {.spread = c.spread, .layout = c.layout}));
  if (c.ties) {
    TensorView logits = result.inputs[0].view;
    for (int64_t i = 0; i < logits.count(); ++i) {
      logits.as<float>()[i] = std::round(2 * logits.as<float>()[i]) / 2;
    }
  }
  result.inputs.push_back(column(c.rows, [](const RowSettings& row) { return row.temperature; }));
  std::vector<int32_t> top_k;
  for (const RowSettings& row : c.rows) top_k.push_back(row.top_k);
  result.inputs.push_back(ints(top_k));
  result.inputs.push_back(column(c.rows, [](const RowSettings& row) { return row.top_p; }));
  result.inputs.push_back(column(c.rows, [](const RowSettings& row) { return row.penalty; }));
  result.inputs.push_back(column(c.rows, [](const RowSettings& row) { return row.uniform; }));
  add_history(result, random, c);
  std::vector<int32_t> banned;
  for (int64_t i = 0; i < rows * c.banned; ++i) {
    banned.push_back(i % 3 == 2 ? -1 : static_cast<int32_t>(random.below(c.vocab)));
  }
  result.inputs.push_back(c.banned ? ints({rows, c.banned}, banned) : absent());
  return result;
}

// The reference's ids with `uniform` moved by `du` and top_p by `dp`.
std::vector<int32_t> reference_ids(const Case& test_case, double du, double dp) {
  std::vector<TensorView> inputs;
  for (const Operand& input : test_case.inputs) inputs.push_back(input.view);
  int64_t rows = inputs[kLogits].extents[0];
  Tensor uniform = Tensor::make(DType::F64, {rows}), top_p = Tensor::make(DType::F64, {rows});
  for (int64_t row = 0; row < rows; ++row) {
    double p = inputs[kTopP].as<float>()[row];
    uniform.as<double>()[row] = std::clamp(inputs[kUniformInput].as<float>()[row] + du, 0.0, 1.0);
    top_p.as<double>()[row] = p < 1 ? p + dp : p;
  }
  inputs[kUniformInput] = uniform;
  inputs[kTopP] = top_p;
  Tensor ids = Tensor::make(DType::I32, {rows}), logprobs = Tensor::make(DType::F64, {rows});
  TensorView outputs[] = {ids, logprobs};
  ops::Sample attributes;
  reference::kSample.run({.inputs = inputs,
                          .outputs = outputs,
                          .prepared = &attributes,
                          .workspace = {},
                          .stream = nullptr});
  return {ids.as<int32_t>(), ids.as<int32_t>() + rows};
}

// A probability made in f32 from logits of magnitude L: the logit processed in f32 (penalty and
// temperature, 2 u L), its difference to the largest (u 2 L), exp and division, and sums over the
// vocabulary, V u. A cumulative probability is off by at most the sum of those, relative to at
// most 1.
double cumulative_error(const Case& test_case, int64_t row) {
  const TensorView& logits = test_case.inputs[kLogits].view;
  auto vocab = static_cast<double>(logits.extents[1]);
  double largest = 0;
  for (int64_t i = 0; i < logits.extents[1]; ++i) {
    largest = std::max(largest, std::fabs(logits.as<float>()[row * logits.strides[0] + i] * 1.0));
  }
  double temperature = test_case.inputs[kTemperature].view.as<float>()[row];
  double penalty = test_case.inputs[kPenalty].view.as<float>()[row];
  double processed = largest * std::max(penalty, 1 / penalty) / (temperature > 0 ? temperature : 1);
  return 2 * (4 * processed + 2 * vocab + 10) * kUnit + kFunction;
}

double exact_logprob(const Case& test_case, int64_t row, int32_t id, double& bound) {
  const TensorView& logits = test_case.inputs[kLogits].view;
  const float* data = logits.as<float>() + row * logits.strides[0];
  int64_t vocab = logits.extents[1];
  double largest = *std::max_element(data, data + vocab), sum = 0;
  for (int64_t i = 0; i < vocab; ++i) sum += std::exp(data[i] - largest);
  double difference = data[id] - largest, log_sum = std::log(sum), result = difference - log_sum;
  // exp's argument: u |difference| weighted by the probabilities, at most 2 u max|logit|; its sum:
  // V u; log at relative kFunction; two subtractions.
  bound = (static_cast<double>(vocab) * kUnit + 2 * kUnit * std::fabs(largest) + 2 * kFunction) +
          kFunction * log_sum +
          2 * kUnit * (std::fabs(difference) + std::fabs(result) + std::fabs(largest));
  return result;
}

// A token is right where the reference draws it for this `uniform` and top_p, or for one within the
// f32 error of the cumulative probability: a draw at the border of two tokens may go either way.
std::vector<std::string> check(const Case& test_case, std::span<const TensorView> outputs) {
  std::vector<std::string> problems;
  for (int64_t row = 0; row < outputs[0].extents[0]; ++row) {
    double delta = cumulative_error(test_case, row);
    std::set<int32_t> allowed;
    for (double du : {0.0, -delta, delta}) {
      for (double dp : {0.0, -delta, delta}) allowed.insert(reference_ids(test_case, du, dp)[row]);
    }
    int32_t id = outputs[0].as<int32_t>()[row];
    if (!allowed.contains(id)) {
      problems.push_back("row " + std::to_string(row) + ": drew " + std::to_string(id) +
                         ", must be " + std::to_string(*allowed.begin()));
      continue;
    }
    double bound = 0, exact = exact_logprob(test_case, row, id, bound);
    double got = outputs[1].as<float>()[row];
    if (!(std::fabs(got - exact) <=
          bound * kSlack + half_ulp(DType::F32, std::fabs(exact) + bound))) {
      problems.push_back("row " + std::to_string(row) + ": logprob " + std::to_string(got) +
                         ", exact " + std::to_string(exact));
    }
  }
  return problems;
}

std::vector<RowSettings> sweep_of_uniform(RowSettings settings, int count) {
  std::vector<RowSettings> rows;
  for (int i = 0; i < count; ++i) {
    settings.uniform = (i + 0.37) / count;
    rows.push_back(settings);
  }
  return rows;
}

TEST(Conformance, Sample) {
  const RowSettings greedy{.temperature = 0};
  const std::vector<RowSettings> mixed = {
      {.temperature = 0},
      {.temperature = 0.7, .top_p = 0.9, .penalty = 1.1, .uniform = 0.1, .top_k = 40},
      {.temperature = 1.5, .uniform = 0.99},
      {.top_p = 0.5, .uniform = 0.3},
      {.uniform = 0.6, .top_k = 1},
      {.penalty = 1.3, .uniform = 0.8, .top_k = 7},
      {.temperature = 0, .penalty = 2},
      {.top_p = 1e-6, .uniform = 0.9},
      {.uniform = 0.25, .top_k = 100000},
      {.uniform = 0},
      {.uniform = 0.9999999, .top_k = 5},
  };
  const std::vector<SampleCase> forms = {
      {.name = "one_token", .vocab = 1, .rows = {{}, greedy}},
      {.name = "greedy", .vocab = 127, .rows = {greedy, greedy, greedy}},
      {.name = "greedy_ties", .vocab = 127, .rows = {greedy, greedy, greedy}, .ties = true},
      {.name = "greedy_all_equal", .vocab = 63, .rows = {greedy}, .spread = 0},
      {.name = "temperature", .vocab = 63, .rows = sweep_of_uniform({.temperature = 0.8}, 17)},
      {.name = "top_k", .vocab = 63, .rows = sweep_of_uniform({.top_k = 5}, 17)},
      {.name = "top_k_ties", .vocab = 63, .rows = sweep_of_uniform({.top_k = 5}, 17), .ties = true},
      {.name = "top_p", .vocab = 63, .rows = sweep_of_uniform({.top_p = 0.8}, 17)},
      {.name = "top_p_all_equal",
       .vocab = 64,
       .rows = sweep_of_uniform({.top_p = 0.4}, 9),
       .spread = 0},
      {.name = "top_k_top_p",
       .vocab = 257,
       .rows = sweep_of_uniform({.top_p = 0.7, .top_k = 11}, 17)},
      {.name = "penalty",
       .vocab = 31,
       .rows = sweep_of_uniform({.penalty = 1.7}, 9),
       .history = true},
      {.name = "penalty_below_1",
       .vocab = 31,
       .rows = sweep_of_uniform({.penalty = 0.5}, 9),
       .history = true},
      {.name = "banned", .vocab = 17, .rows = sweep_of_uniform({}, 9), .banned = 7},
      {.name = "banned_greedy", .vocab = 5, .rows = {greedy, greedy, greedy}, .banned = 4},
      {.name = "mixed", .vocab = 1031, .rows = mixed, .history = true, .banned = 3},
      {.name = "mixed_large", .vocab = 8009, .rows = mixed, .history = true},
      // More tokens may be drawn than a kernel sorts.
      {.name = "flat", .vocab = 8009, .rows = sweep_of_uniform({}, 7), .spread = 0.3},
      {.name = "flat_top_p", .vocab = 8009, .rows = sweep_of_uniform({.top_p = 0.9}, 7)},
      {.name = "large_top_k",
       .vocab = 8009,
       .rows = sweep_of_uniform({.top_k = 3001}, 7),
       .spread = 0.5},
      {.name = "large_top_k_top_p",
       .vocab = 8009,
       .rows = sweep_of_uniform({.top_p = 0.95, .top_k = 5003}, 7),
       .spread = 0.5},
      {.name = "large_ties",
       .vocab = 8009,
       .rows = sweep_of_uniform({.top_p = 0.8, .top_k = 2900}, 7),
       .ties = true},
      {.name = "large_all_equal",
       .vocab = 8009,
       .rows = sweep_of_uniform({.top_p = 0.7}, 7),
       .spread = 0},
      {.name = "strided",
       .vocab = 257,
       .rows = mixed,
       .history = true,
       .layout = Layout::StridedRows},
      {.name = "no_rows", .vocab = 127, .rows = {}},
      {.name = "peaked", .vocab = 257, .rows = mixed, .spread = 30, .history = true},
  };
  Suite suite{.op = "sample", .cases = {}, .bounds = zero_bounds, .check = check};
  for (const SampleCase& form : forms) suite.cases.push_back(make_case(form));
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
