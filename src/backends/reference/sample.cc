#include "ops/sample.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

// What ops/sample.h leaves open is decided here, the same way for every implementation:
// - Tokens are ranked by (logit, largest first; id, lowest first). Top-k and top-p keep a beginning
//   of that ranking, so equal logits at the border keep the lowest ids and exactly k remain.
// - Top-p counts probabilities after top-k, and always keeps one token.
// - The draw walks the ranking: the first token whose cumulative probability exceeds `uniform`; the
//   last kept one where rounding leaves none.
// - temperature <= 0 is greedy. Penalties and bans still apply.
// - Ids of history or banned outside the vocabulary are skipped: a negative id stands for a given
//   embedding, not for a token.
// - A NaN logit is never drawn, but makes the row's logprob NaN, so that the fault shows.
// - Where every token is banned the result is the first of the ranking: id 0.
namespace tenon::reference {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

struct Token {
  int32_t id;
  double logit;
};

struct RowParameters {
  double temperature, top_p, uniform;
  int64_t top_k;
};

void penalise(std::vector<double>& logits, const TensorView& history, int64_t begin, int64_t end,
              double penalty) {
  std::set<int32_t> seen;
  for (int64_t i = begin; i < end; ++i) seen.insert(load_i32(history, i));
  for (int64_t id : seen) {
    if (id < 0 || id >= static_cast<int64_t>(logits.size())) continue;
    logits[id] = logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty;
  }
}

void ban(std::vector<double>& logits, const TensorView& banned, int64_t row) {
  for (int64_t i = 0; i < banned.extents[1]; ++i) {
    int64_t id = banned.as<const int32_t>()[row * banned.strides[0] + i * banned.strides[1]];
    if (id >= 0 && id < static_cast<int64_t>(logits.size())) logits[id] = kMinusInfinity;
  }
}

std::vector<Token> rank(const std::vector<double>& logits) {
  std::vector<Token> tokens;
  for (size_t id = 0; id < logits.size(); ++id) {
    tokens.push_back(
        {static_cast<int32_t>(id), std::isnan(logits[id]) ? kMinusInfinity : logits[id]});
  }
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const Token& a, const Token& b) { return a.logit > b.logit; });
  return tokens;
}

std::vector<double> softmax(const std::vector<Token>& ranked) {
  std::vector<double> probabilities;
  double sum = 0;
  for (const Token& token : ranked) {
    probabilities.push_back(std::exp(token.logit - ranked[0].logit));
    sum += probabilities.back();
  }
  for (double& probability : probabilities) probability /= sum;
  return probabilities;
}

int32_t draw(std::vector<Token> ranked, const RowParameters& row) {
  if (row.temperature <= 0 || ranked[0].logit == kMinusInfinity) return ranked[0].id;
  for (Token& token : ranked) token.logit /= row.temperature;
  if (row.top_k > 0) ranked.resize(std::min<size_t>(ranked.size(), row.top_k));
  if (row.top_p < 1) {
    double reached = 0;
    size_t kept = 0;
    for (double probability : softmax(ranked)) {
      if (kept > 0 && reached >= row.top_p) break;
      reached += probability;
      ++kept;
    }
    ranked.resize(kept);
  }
  double reached = 0;
  int32_t last_possible = ranked[0].id;
  std::vector<double> probabilities = softmax(ranked);
  for (size_t i = 0; i < ranked.size(); ++i) {
    reached += probabilities[i];
    if (reached > row.uniform) return ranked[i].id;
    if (probabilities[i] > 0) last_possible = ranked[i].id;
  }
  return last_possible;
}

double log_probability(const std::vector<double>& logits, int32_t id) {
  double largest = kMinusInfinity, sum = 0;
  for (double logit : logits) largest = std::max(largest, logit);
  for (double logit : logits) sum += std::exp(logit - largest);
  return logits[id] - largest - std::log(sum);
}

void run(const ops::RunArgs& args) {
  Rows logits(args.inputs[0]), temperature(args.inputs[1]), top_p(args.inputs[3]);
  Rows penalty(args.inputs[4]), uniform(args.inputs[5]), logprobs(args.outputs[1]);
  const TensorView &top_k = args.inputs[2], &history = args.inputs[6], &offsets = args.inputs[7];
  TensorView banned = input_or_none(args, 8);
  const TensorView& ids = args.outputs[0];
  for (int64_t row = 0; row < logits.count(); ++row) {
    std::vector<double> given = logits.get_row(row), processed = given;
    penalise(processed, history, load_i32(offsets, row), load_i32(offsets, row + 1),
             penalty.get(0, row));
    if (banned.defined()) ban(processed, banned, row);
    int32_t id = draw(rank(processed), {.temperature = temperature.get(0, row),
                                        .top_p = top_p.get(0, row),
                                        .uniform = uniform.get(0, row),
                                        .top_k = load_i32(top_k, row)});
    ids.as<int32_t>()[row * ids.strides[0]] = id;
    logprobs.set(0, row, log_probability(given, id));
  }
}

}  // namespace

const ops::Implementation kSample = {
    .name = "sample__reference",
    .op = ops::Sample::kName,
    .supports =
        [](const ops::OpDesc& desc) {
          return support_floats(desc, {0, 1, 3, 4, 5}, {1});
        },
    .prepare = ops::prepare_attributes<ops::Sample>,
    .run = run,
};

}  // namespace tenon::reference
