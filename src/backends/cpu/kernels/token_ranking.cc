#include "backends/cpu/kernels/token_ranking.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tenon::cpu {
namespace {

constexpr int64_t kPieceSize = 1024;
// How far the ranking goes at first, and by what it grows.
constexpr int64_t kFirstRanked = 64, kGrowth = 8;

bool ranks_before(const RankedToken& a, const RankedToken& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

}  // namespace

void TokenRanking::extend(int64_t wanted) {
  int64_t count = std::max({wanted, kFirstRanked, ranked_ * kGrowth});
  count = std::min(count, vocab_);
  // Collecting keeps up to twice as many; beyond that a full sort costs no more.
  if (count * 2 > vocab_) {
    for (int64_t id = 0; id < vocab_; ++id) {
      candidates_[id] = {static_cast<int32_t>(id), logits_[id]};
    }
    count = vocab_;
  } else {
    collect_best(count);
  }
  std::sort(candidates_, candidates_ + count, ranks_before);
  ranked_ = count;
}

// Ids come in rising order, so that an equal logit met later never replaces an earlier one.
void TokenRanking::collect_best(int64_t count) {
  int64_t held = 0, room = 2 * count;
  float threshold = -std::numeric_limits<float>::infinity();
  bool full = false;
  auto shrink = [&] {
    std::nth_element(candidates_, candidates_ + count - 1, candidates_ + held, ranks_before);
    threshold = candidates_[count - 1].logit;
    held = count;
    full = true;
  };
  for (int64_t id = 0; id < vocab_; ++id) {
    if (full && logits_[id] <= threshold) continue;
    candidates_[held++] = {static_cast<int32_t>(id), logits_[id]};
    if (held == room) shrink();
  }
  if (held > count) shrink();
}

double sum_of_exponentials(const float* logits, int64_t n, float centre, double temperature,
                           const RowKernels& rows) {
  alignas(64) float piece[kPieceSize];
  double sum = 0;
  for (int64_t i = 0; i < n; i += kPieceSize) {
    int64_t count = std::min(kPieceSize, n - i);
    std::memcpy(piece, logits + i, count * sizeof(float));
    if (temperature == 1) {
      sum += rows.exp_sum(piece, count, centre);
      continue;
    }
    for (int64_t j = 0; j < count; ++j) {
      piece[j] = static_cast<float>((piece[j] - centre) / temperature);
    }
    sum += rows.exp_sum(piece, count, 0.0f);
  }
  return sum;
}

int64_t index_of_largest(const float* logits, int64_t n, const RowKernels& rows) {
  float largest = -std::numeric_limits<float>::infinity();
  int64_t begin = 0;
  for (int64_t i = 0; i < n; i += kPieceSize) {
    float candidate = rows.largest(logits + i, std::min(kPieceSize, n - i));
    if (candidate > largest) largest = candidate, begin = i;
  }
  for (int64_t i = begin; i < n; ++i) {
    if (logits[i] == largest) return i;
  }
  return 0;
}

int32_t draw_token(TokenRanking& ranking, const float* logits, float largest,
                   const DrawParameters& parameters, const RowKernels& rows) {
  auto weight = [&](int64_t rank) {
    return std::exp((double{ranking.at(rank).logit} - largest) / parameters.temperature);
  };
  // The ranking is cut to `kept` tokens, whose weights sum to `total`.
  int64_t kept = ranking.vocab();
  double total = 0;
  if (parameters.top_k > 0 && parameters.top_k < kept) {
    kept = parameters.top_k;
    for (int64_t rank = 0; rank < kept; ++rank) total += weight(rank);
  } else {
    total = sum_of_exponentials(logits, kept, largest, parameters.temperature, rows);
  }
  if (parameters.top_p < 1) {
    double reached = 0;
    int64_t rank = 0;
    while (rank < kept && (rank == 0 || reached < parameters.top_p * total)) {
      reached += weight(rank++);
    }
    kept = rank, total = reached;
  }
  double reached = 0;
  int32_t last_possible = ranking.at(0).id;
  for (int64_t rank = 0; rank < kept; ++rank) {
    double here = weight(rank);
    reached += here;
    if (reached > parameters.uniform * total) return ranking.at(rank).id;
    if (here > 0) last_possible = ranking.at(rank).id;
  }
  return last_possible;
}

}  // namespace tenon::cpu
