#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tenon::metrics {

struct RougeScore {
  double precision = 0, recall = 0, f = 0;
};

struct RougeScores {
  RougeScore rouge1, rouge2, rouge_l;
  RougeScore rouge_l_sum;  // sentences are lines: union of the longest common subsequences
};

struct RougeOptions {
  bool stem = false;  // Porter's stems of words longer than 3 letters
};

// The figures of Google's rouge_score for one text and its reference.
RougeScores rouge(std::string_view text, std::string_view reference,
                  const RougeOptions& options = {});

// Lower-case runs of [a-z0-9]; everything else separates.
std::vector<std::string> rouge_tokens(std::string_view text, const RougeOptions& options = {});

}  // namespace tenon::metrics
