#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tenon::metrics {

// KL(reference || got) in nats over rows of logits. Without rows nothing is proven: the divergences
// are infinite and same_top is 0.
struct KldStats {
  double mean = 0, median = 0, p90 = 0, p95 = 0, p99 = 0, max = 0;
  double same_top = 0;      // share of decided rows whose highest logit is at the same place
  double same_top_all = 0;  // the same share of all rows
  int64_t rows = 0;
  // Rows whose two highest reference logits differ by at least 1 % of the RMS of that row's
  // reference logits; in other rows the first place is a toss-up. same_top is 1 where rows were
  // seen and none was decided.
  int64_t decided_rows = 0;
  double reference_rms = 0;  // of all finite reference logits
};

class KldAccumulator {
 public:
  // One position: [vocabulary] each. A NaN or +inf anywhere makes the row's divergence infinite and
  // counts it as a decided row that disagrees. Throws ErrorCode::BadInput where the sizes differ or
  // are 0.
  void add_row(std::span<const float> got_logits, std::span<const float> reference_logits);
  KldStats finish() const;

 private:
  std::vector<double> divergences_;  // [rows]
  int64_t decided_ = 0, agreed_ = 0, agreed_of_all_ = 0;
  double squares_ = 0;  // of the finite reference logits
  int64_t logits_ = 0;
};

}  // namespace tenon::metrics
