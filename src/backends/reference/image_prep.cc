#include "ops/image_prep.h"

#include <algorithm>

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"

namespace tenon::reference {
namespace {

using ops::ImagePrep;

// The sum over one row's or column's taps of what `value` gives for each, in 0 to 255.
template <class Value>
int32_t mix(std::span<const int32_t> taps, Value value) {
  int64_t sum = int64_t{1} << (ImagePrep::kBits - 1);
  for (size_t j = 1; j < taps.size(); ++j) {
    // A neighbour that does not count need not be there.
    if (taps[j] != 0) sum += int64_t{taps[j]} * value(taps[0] + static_cast<int64_t>(j) - 1);
  }
  return static_cast<int32_t>(std::clamp<int64_t>(sum >> ImagePrep::kBits, 0, 255));
}

std::span<const int32_t> row_of(const TensorView& taps, int64_t row) {
  auto columns = static_cast<size_t>(taps.extents[1]);
  return {taps.as<const int32_t>() + row * taps.strides[0], columns};
}

void run(const ops::RunArgs& args) {
  const TensorView &x = args.inputs[0], &taps_y = args.inputs[1], &taps_x = args.inputs[2];
  const TensorView& y = args.outputs[0];
  const auto *mean = args.inputs[3].as<float>(), *deviation = args.inputs[4].as<float>();
  for (int64_t i = 0; i < y.count(); ++i) {
    int64_t c = i % 3, column = i / 3 % y.extents[1], row = i / 3 / y.extents[1];
    std::span<const int32_t> down = row_of(taps_y, row), across = row_of(taps_x, column);
    float result = 0;
    if (down[0] >= 0 && across[0] >= 0) {
      int32_t z = mix(down, [&](int64_t of_row) {
        return mix(across, [&](int64_t of_column) {
          return x.as<uint8_t>()[of_row * x.strides[0] + of_column * x.strides[1] + c];
        });
      });
      result = (static_cast<float>(z) - mean[c]) / deviation[c];
    }
    store(y, i, result);
  }
}

}  // namespace

const ops::Implementation kImagePrep = {
    .name = "image_prep__reference",
    .op = ImagePrep::kName,
    .supports = [](const ops::OpDesc&) { return ops::Support::yes(); },
    .run = run,
};

}  // namespace tenon::reference
