#pragma once

#include <cstdint>
#include <vector>

#include "base/function_ref.h"
#include "imaging/mask.h"
#include "pipelines/sam/preprocess.h"
#include "tensor/tensor.h"

namespace tenon::sam {

// Brings the decoder's small masks to the size of the picture as the original does: bilinear to
// the encoder's square, the padding cut off, bilinear to the picture. The two steps are not one
// bilinear; they are done as one product of weights per row and column.
class MaskResampler {
 public:
  MaskResampler(const SamInfo& info, Size picture);

  Size size() const { return picture_; }
  // Rows and columns as the op mask_post takes them: taps_y [words, 32, 4], taps_x [width, 4].
  Tensor make_taps_y() const;
  Tensor make_taps_x() const;
  // Calls row(y, values [width]) for every row of the picture; logits [mask_size, mask_size].
  void each_row(const float* logits, FunctionRef<void(int64_t y, const float* values)> row) const;
  // f32 [height, width].
  std::vector<float> resample(const float* logits) const;
  imaging::Mask threshold(const float* logits, float threshold) const;

 private:
  // A row or column of the result as a sum of three neighbours, the later ones of weight 0 where
  // fewer count.
  struct Taps {
    int32_t first = 0;
    float weights[3] = {0, 0, 0};
  };
  static void write_taps(const std::vector<Taps>& taps, float* to);
  static std::vector<Taps> make_taps(int64_t mask, int64_t square, int64_t fitted, int64_t picture);

  int64_t mask_size_;
  Size picture_;
  std::vector<Taps> columns_, rows_;
};

// Pixels of a mask at the thresholds `threshold` + offset and - offset, and the mask between.
struct StableMask {
  imaging::Mask mask;
  int64_t certain = 0, possible = 0;
  // Near 1 where the threshold hardly matters; NaN where nothing is possible.
  float stability() const { return static_cast<float>(certain) / static_cast<float>(possible); }
};
StableMask measure_stability(const MaskResampler& resampler, const float* logits, float threshold,
                             float offset);

}  // namespace tenon::sam
