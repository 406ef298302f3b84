#pragma once

#include <cstdint>
#include <limits>

#include "backends/cpu/isa.h"

namespace tenon::cpu {

struct RankedToken {
  int32_t id;
  float logit;
};

// The tokens of one row by (logit, largest first; id, lowest first), ranked only as far as asked: a
// draw rarely needs more than a few hundred of a large vocabulary. No logit is NaN.
class TokenRanking {
 public:
  // candidates: scratch memory, [vocab].
  TokenRanking(const float* logits, int64_t vocab, RankedToken* candidates)
      : logits_(logits), vocab_(vocab), candidates_(candidates) {}

  int64_t vocab() const { return vocab_; }
  // The token at `rank` < vocab().
  RankedToken at(int64_t rank) {
    if (rank >= ranked_) extend(rank + 1);
    return candidates_[rank];
  }

 private:
  void extend(int64_t wanted);
  void collect_best(int64_t count);

  const float* logits_;
  int64_t vocab_;
  RankedToken* candidates_;
  int64_t ranked_ = 0;
};

// How a row is drawn from.
struct DrawParameters {
  double temperature = 1, top_p = 1, uniform = 0;
  int64_t top_k = 0;
};

// The id drawn as the reference describes it. largest: the largest logit.
int32_t draw_token(TokenRanking& ranking, const float* logits, float largest,
                   const DrawParameters& parameters, const RowKernels& rows);

// Sum of exp((logit - centre) / temperature) over a row.
double sum_of_exponentials(const float* logits, int64_t n, float centre, double temperature,
                           const RowKernels& rows);

// The first index of the largest element, NaN ignored; 0 where there is none.
int64_t index_of_largest(const float* logits, int64_t n, const RowKernels& rows);

}  // namespace tenon::cpu
