#include "ops/mask_post.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "conformance.h"

namespace tenon::conformance {
namespace {

// Logits are whole numbers, weights quarters and levels lie between what they can make, so that
// every value and decision is exact in f32.
Operand whole_numbers(Random& random, const Extents& extents) {
  Operand operand = random_floats(random, DType::F32, extents);
  float* values = operand.view.as<float>();
  for (int64_t i = 0; i < operand.view.count(); ++i)
    values[i] = static_cast<float>(static_cast<int>(values[i] * 8) % 9);
  return operand;
}

// `count` rows of taps over `size` samples; those behind `filled` are no rows.
Operand taps(Random& random, const Extents& extents, int64_t filled, int64_t size) {
  Operand operand = random_floats(random, DType::F32, extents);
  float* values = operand.view.as<float>();
  for (int64_t i = 0; i < operand.view.count() / 4; ++i) {
    float* tap = values + 4 * i;
    tap[0] = i < filled ? static_cast<float>(i * (size - 2) / filled) : -1.0f;
    tap[1] = 0.25f * static_cast<float>(i % 4);
    tap[2] = i % 3 == 0 ? 0.0f : 0.25f;
    tap[3] = 1.0f - tap[1] - tap[2];
  }
  return operand;
}

struct MaskPostCase {
  std::string name;
  int64_t planes, h, w, picture_h, picture_w;
  std::vector<int32_t> chosen;
  float threshold = 0.03125f, offset = 1.0f;
};

Case make_case(const MaskPostCase& c) {
  Random random(c.name);
  Case result{c.name, ops::to_attributes(ops::MaskPost{}), {}};
  result.output_count = 2;
  result.inputs.push_back(whole_numbers(random, {c.planes, c.h, c.w}));
  result.inputs.push_back(ints(c.chosen));
  int64_t words = (c.picture_h + 31) / 32;
  result.inputs.push_back(taps(random, {words, 32, 4}, c.picture_h, c.h));
  result.inputs.push_back(taps(random, {c.picture_w, 4}, c.picture_w, c.w));
  Operand levels = random_floats(random, DType::F32, {3});
  float* level = levels.view.as<float>();
  level[0] = c.threshold, level[1] = c.threshold + c.offset, level[2] = c.threshold - c.offset;
  result.inputs.push_back(std::move(levels));
  return result;
}

// What the op's header says, pixel by pixel: every product here is exact.
struct Expected {
  std::vector<int32_t> bits, counts;

  explicit Expected(const Case& c) {
    const auto& masks = c.inputs[0].view;
    std::vector<double> logits = values_of(c.inputs[0]), rows = values_of(c.inputs[2]);
    std::vector<double> columns = values_of(c.inputs[3]), levels = values_of(c.inputs[4]);
    int64_t height = masks.extents[1], width = masks.extents[2];
    auto across = static_cast<int64_t>(columns.size() / 4);
    auto down = static_cast<int64_t>(rows.size() / 4);
    for (int32_t plane : ints_of(c.inputs[1])) {
      std::vector<int32_t> own(static_cast<size_t>(across * down / 32), 0);
      int32_t count[6] = {0, 0, INT32_MAX, INT32_MAX, -1, -1};
      for (int64_t i = 0; i < across * down; ++i) {
        int64_t x = i / down, y = i % down;
        if (rows[4 * y] < 0) continue;
        double value = 0;
        for (int64_t j = 0; j < 9; ++j) {
          auto at = (plane * height + static_cast<int64_t>(rows[4 * y]) + j / 3) * width +
                    static_cast<int64_t>(columns[4 * x]) + j % 3;
          value += rows[4 * y + 1 + j / 3] * columns[4 * x + 1 + j % 3] * logits[at];
        }
        count[0] += value > levels[1];
        count[1] += value > levels[2];
        if (value <= levels[0]) continue;
        own[i / 32] |= static_cast<int32_t>(1u << (i % 32));
        count[2] = std::min(count[2], static_cast<int32_t>(x));
        count[3] = std::min(count[3], static_cast<int32_t>(y));
        count[4] = std::max(count[4], static_cast<int32_t>(x));
        count[5] = std::max(count[5], static_cast<int32_t>(y));
      }
      if (count[4] < 0) std::fill(count + 2, count + 6, 0);
      bits.insert(bits.end(), own.begin(), own.end());
      counts.insert(counts.end(), count, count + 6);
    }
  }
};

std::vector<std::string> compare(const Case& c, std::span<const TensorView> outputs) {
  Expected expected(c);
  std::vector<std::string> problems;
  for (size_t i = 0; i < 2; ++i) {
    const std::vector<int32_t>& wanted = i == 0 ? expected.bits : expected.counts;
    std::span<const int32_t> got(outputs[i].as<int32_t>(), static_cast<size_t>(outputs[i].count()));
    if (!std::equal(got.begin(), got.end(), wanted.begin(), wanted.end()))
      problems.push_back(i == 0 ? "other bits" : "other counts");
  }
  return problems;
}

TEST(Conformance, MaskPost) {
  Suite suite{.op = "mask_post", .cases = {}, .bounds = zero_bounds, .check = compare};
  const MaskPostCase forms[] = {
      {"one", 1, 3, 3, 1, 1, {0}},
      {"grown", 3, 8, 6, 45, 70, {2, 0}},
      {"shrunk", 2, 64, 64, 20, 33, {1, 1, 0}},
      {"wide", 1, 16, 16, 32, 300, {0}},
      {"empty", 2, 8, 8, 40, 9, {1}, 1000.03125f, 1.0f},
      {"all", 2, 8, 8, 40, 9, {0, 1}, -1000.03125f, 1.0f},
      {"none_chosen", 2, 8, 8, 40, 9, {}},
  };
  for (const MaskPostCase& form : forms) suite.cases.push_back(make_case(form));
  run_suite(suite);
}

}  // namespace
}  // namespace tenon::conformance
