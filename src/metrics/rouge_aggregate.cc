#include "metrics/rouge_aggregate.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <vector>

namespace tenon::metrics {
namespace {

// numpy.random.choice(count, count): 32 bits of the generator, masked, until they are in range.
class Chooser {
 public:
  explicit Chooser(uint32_t seed) : generator_(seed) {}
  uint32_t below(uint32_t count) {
    uint32_t most = count - 1;
    if (most == 0) return 0;  // NumPy draws nothing then
    uint32_t mask = std::bit_ceil(most + 1) - 1, value = 0;
    do {
      value = static_cast<uint32_t>(generator_()) & mask;
    } while (value > most);
    return value;
  }

 private:
  std::mt19937 generator_;
};

void add(RougeScore& sum, const RougeScore& score) {
  sum.precision += score.precision;
  sum.recall += score.recall;
  sum.f += score.f;
}

RougeScore divided(const RougeScore& sum, size_t count) {
  auto n = static_cast<double>(count);
  return {sum.precision / n, sum.recall / n, sum.f / n};
}

// Between the two nearest values, as numpy.percentile. Sorts `values`.
double percentile(std::vector<double>& values, double fraction) {
  std::sort(values.begin(), values.end());
  double place = fraction * static_cast<double>(values.size() - 1);
  auto below = static_cast<size_t>(place);
  size_t above = std::min(below + 1, values.size() - 1);
  double share = place - static_cast<double>(below);
  return values[below] + (values[above] - values[below]) * share;
}

RougeScore percentiles(const std::vector<RougeScore>& means, double fraction) {
  auto of = [&](double RougeScore::*field) {
    std::vector<double> values;
    for (const RougeScore& mean : means) values.push_back(mean.*field);
    return percentile(values, fraction);
  };
  return {of(&RougeScore::precision), of(&RougeScore::recall), of(&RougeScore::f)};
}

RougeBounds bounds(std::span<const RougeScores> texts, RougeScore RougeScores::*kind,
                   const BootstrapOptions& options, Chooser& chooser) {
  std::vector<RougeScore> means;
  auto count = static_cast<uint32_t>(texts.size());
  for (int64_t sample = 0; sample < options.samples; ++sample) {
    RougeScore sum;
    for (uint32_t i = 0; i < count; ++i) add(sum, texts[chooser.below(count)].*kind);
    means.push_back(divided(sum, count));
  }
  double tail = (1 - options.confidence) / 2;
  return {percentiles(means, tail), percentiles(means, 0.5), percentiles(means, 1 - tail)};
}

}  // namespace

RougeSummary summarize_rouge(std::span<const RougeScores> texts, const BootstrapOptions& options) {
  RougeSummary summary;
  if (texts.empty() || options.samples < 1) return summary;
  for (auto kind : {&RougeScores::rouge1, &RougeScores::rouge2, &RougeScores::rouge_l,
                    &RougeScores::rouge_l_sum}) {
    RougeScore sum;
    for (const RougeScores& scores : texts) add(sum, scores.*kind);
    summary.mean.*kind = divided(sum, texts.size());
  }
  Chooser chooser(options.seed);
  summary.rouge1 = bounds(texts, &RougeScores::rouge1, options, chooser);
  summary.rouge2 = bounds(texts, &RougeScores::rouge2, options, chooser);
  summary.rouge_l = bounds(texts, &RougeScores::rouge_l, options, chooser);
  summary.rouge_l_sum = bounds(texts, &RougeScores::rouge_l_sum, options, chooser);
  return summary;
}

}  // namespace tenon::metrics
