#include "compiler/ranges.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "base/thread_pool.h"

namespace tenon::compiler {
namespace {

void measure(const float* values, int64_t count, TensorRange& range) {
  std::mutex mutex;
  process_thread_pool().parallel_for(count, 1 << 16, [&](int64_t begin, int64_t end) {
    float largest = 0;
    int64_t nonfinite = 0;
    for (int64_t i = begin; i < end; ++i) {
      float magnitude = std::fabs(values[i]);
      bool finite = magnitude <= std::numeric_limits<float>::max();
      nonfinite += !finite;
      largest = finite && magnitude > largest ? magnitude : largest;
    }
    std::lock_guard lock(mutex);
    range.largest = std::max(range.largest, static_cast<double>(largest));
    range.nonfinite += nonfinite;
  });
}

}  // namespace

void RangeRecorder::add(size_t step, std::span<const TensorView> outputs) {
  const plan::Step& info = stage_.steps[step];
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!is_float(outputs[i].dtype)) continue;
    const std::vector<std::string>& names = stage_.values[info.outputs[i]].names;
    TensorRange range{names.empty() ? info.module : names[0], info.module};
    if (outputs[i].dtype == DType::F32 && outputs[i].is_contiguous()) {
      measure(outputs[i].as<const float>(), outputs[i].count(), range);
    } else {
      Tensor values = make_f32(outputs[i]);
      measure(values.as<float>(), values.count(), range);
    }
    ranges_.push_back(std::move(range));
  }
}

data::Json to_json(std::vector<TensorRange> ranges) {
  std::stable_sort(ranges.begin(), ranges.end(), [](const TensorRange& a, const TensorRange& b) {
    return (a.nonfinite > 0) != (b.nonfinite > 0) ? a.nonfinite > 0 : a.largest > b.largest;
  });
  data::Json list = data::Json::array();
  for (const TensorRange& range : ranges) {
    data::Json entry = data::Json::object();
    entry.set("tensor", range.name).set("largest", range.largest);
    entry.set("share_of_f16", range.largest / kLargestHalf);
    if (range.nonfinite > 0) entry.set("nonfinite", range.nonfinite);
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace tenon::compiler
