#include "frontends/safetensors/nonfinite.h"

#include <algorithm>
#include <mutex>
#include <optional>

#include "base/thread_pool.h"
#include "tensor/recipe.h"

namespace tenon::frontends {
namespace {

// Where the exponent of a type is, and whether it has infinities: enough to tell NaN and infinity
// from the bits, without arithmetic.
struct FloatLayout {
  uint64_t exponent, mantissa;
  bool infinities;
};

std::optional<FloatLayout> layout_of(DType dtype) {
  switch (dtype) {
    case DType::F64:
      return FloatLayout{0x7FF0000000000000u, 0x000FFFFFFFFFFFFFu, true};
    case DType::F32:
      return FloatLayout{0x7F800000u, 0x007FFFFFu, true};
    case DType::F16:
      return FloatLayout{0x7C00u, 0x03FFu, true};
    case DType::BF16:
      return FloatLayout{0x7F80u, 0x007Fu, true};
    case DType::F8E5M2:
      return FloatLayout{0x7Cu, 0x03u, true};
    case DType::F8E4M3:  // the "fn" form: only all ones is NaN
      return FloatLayout{0x7Fu, 0x00u, false};
    default:
      return std::nullopt;
  }
}

struct Counts {
  int64_t nans = 0, infinities = 0, first = INT64_MAX;
};

template <class Bits>
Counts count_range(const Bits* values, int64_t begin, int64_t end, const FloatLayout& layout) {
  Counts counts;
  Bits exponent = static_cast<Bits>(layout.exponent), mantissa = static_cast<Bits>(layout.mantissa);
  for (int64_t i = begin; i < end; ++i) {
    if ((values[i] & exponent) != exponent) continue;
    bool is_infinity = layout.infinities && (values[i] & mantissa) == 0;
    ++(is_infinity ? counts.infinities : counts.nans);
    counts.first = std::min(counts.first, i);
  }
  return counts;
}

Counts count_range(const TensorView& view, int64_t begin, int64_t end, const FloatLayout& layout) {
  switch (dtype_bits(view.dtype)) {
    case 64:
      return count_range(view.as<uint64_t>(), begin, end, layout);
    case 32:
      return count_range(view.as<uint32_t>(), begin, end, layout);
    case 16:
      return count_range(view.as<uint16_t>(), begin, end, layout);
    default:
      return count_range(view.as<uint8_t>(), begin, end, layout);
  }
}

}  // namespace

std::vector<NonFiniteWeight> find_nonfinite(const WeightSource& source) {
  std::vector<NonFiniteWeight> found;
  for (const WeightInfo& info : source.weights()) {
    std::optional<FloatLayout> layout = layout_of(info.dtype);
    if (!layout) continue;
    // Weights that are strided, or made by a recipe, are counted in a copy.
    const Recipe* derived = source.recipe_of(info.name);
    TensorView view = derived ? TensorView() : source.view(info.name);
    Tensor copy;
    if (!view.defined() || !view.is_contiguous()) {
      copy = (derived ? *derived : Recipe::source(info)).evaluate(source);
      view = copy.view();
    }
    Counts all;
    std::mutex mutex;
    process_thread_pool().parallel_for(view.count(), 1 << 20, [&](int64_t begin, int64_t end) {
      Counts part = count_range(view, begin, end, *layout);
      std::lock_guard lock(mutex);
      all.nans += part.nans;
      all.infinities += part.infinities;
      all.first = std::min(all.first, part.first);
    });
    if (all.nans + all.infinities == 0) continue;
    found.push_back({info.name, all.nans, all.infinities, all.first});
  }
  return found;
}

}  // namespace tenon::frontends
