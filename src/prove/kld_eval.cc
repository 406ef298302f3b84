#include "prove/kld_eval.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "metrics/perplexity.h"

namespace tenon::prove {
namespace {

using Row = std::span<const float>;

Row row_of(const TensorView& logits, int64_t row) {
  auto columns = static_cast<size_t>(logits.columns());
  return {logits.as<float>() + static_cast<size_t>(row) * columns, columns};
}

// Sums over the tokens that the text goes on with.
struct TokenSums {
  int64_t count = 0;
  double plan = 0, reference = 0;  // negative log-likelihoods
  double change = 0, squares = 0;  // of the probability
  void add(Row got, Row wanted, int32_t target) {
    double a = metrics::negative_log_likelihood(got, target);
    double b = metrics::negative_log_likelihood(wanted, target);
    double difference = std::exp(-a) - std::exp(-b);
    plan += a;
    reference += b;
    change += difference;
    squares += difference * difference;
    ++count;
  }
};

std::vector<std::span<const int32_t>> windows_of(const KldTask& task) {
  std::vector<std::span<const int32_t>> windows;
  for (const std::vector<int32_t>& ids : task.texts) {
    for (size_t begin = 0; begin < ids.size(); begin += static_cast<size_t>(task.window)) {
      size_t count = std::min(static_cast<size_t>(task.window), ids.size() - begin);
      windows.push_back(std::span(ids).subspan(begin, count));
    }
  }
  if (windows.empty()) throw Error(ErrorCode::BadInput, "the text has no token");
  auto most = static_cast<size_t>(task.most_windows);
  if (task.most_windows > 0 && windows.size() > most) windows.resize(most);
  return windows;
}

}  // namespace

KldEval evaluate_kld(const KldTask& task, const ForcedLogits& plan, const ForcedLogits& reference,
                     Progress& progress) {
  KldEval eval;
  metrics::KldAccumulator kld;
  TokenSums sums;
  std::vector<std::span<const int32_t>> windows = windows_of(task);
  progress.begin("KL divergence", static_cast<int64_t>(windows.size()));
  for (std::span<const int32_t> ids : windows) {
    std::vector<float> wanted;
    reference(ids, [&](int64_t, const TensorView& logits) {
      wanted.insert(wanted.end(), logits.as<float>(), logits.as<float>() + logits.count());
    });
    plan(ids, [&](int64_t first, const TensorView& logits) {
      auto columns = static_cast<size_t>(logits.columns());
      for (int64_t i = 0; i < logits.rows(); ++i) {
        auto at = static_cast<size_t>(first + i);
        Row there(wanted.data() + at * columns, columns);
        kld.add_row(row_of(logits, i), there);
        if (at + 1 < ids.size()) sums.add(row_of(logits, i), there, ids[at + 1]);
      }
    });
    progress.advance(++eval.windows);
  }
  progress.end();
  eval.kld = kld.finish();
  eval.tokens = sums.count;
  if (sums.count > 0) {
    auto count = static_cast<double>(sums.count);
    eval.perplexity = std::exp(sums.plan / count);
    eval.reference_perplexity = std::exp(sums.reference / count);
    eval.mean_probability_change = sums.change / count;
    eval.rms_probability_change = std::sqrt(sums.squares / count);
  }
  return eval;
}

data::Json to_json(const KldTask& task, const KldEval& eval) {
  data::Json json = data::Json::object();
  json.set("window", task.window).set("windows", eval.windows).set("rows", eval.kld.rows);
  json.set("mean", eval.kld.mean).set("median", eval.kld.median).set("p90", eval.kld.p90);
  json.set("p95", eval.kld.p95).set("p99", eval.kld.p99).set("max", eval.kld.max);
  json.set("same_top", eval.kld.same_top).set("decided_rows", eval.kld.decided_rows);
  json.set("same_top_of_all_rows", eval.kld.same_top_all);
  json.set("perplexity", eval.perplexity).set("reference_perplexity", eval.reference_perplexity);
  json.set("perplexity_ratio", eval.tokens > 0 ? eval.perplexity / eval.reference_perplexity : 1.0);
  json.set("mean_probability_change", eval.mean_probability_change);
  json.set("rms_probability_change", eval.rms_probability_change);
  return json;
}

}  // namespace tenon::prove
