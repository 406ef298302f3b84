#pragma once

#include "imaging/image.h"
#include "pipelines/sam/sam_info.h"
#include "tensor/tensor.h"

namespace tenon::sam {

struct Size {
  int64_t width = 0, height = 0;
  bool operator==(const Size&) const = default;
};

// The size of a picture whose longer side becomes `longest`, rounded as the original does.
Size fitted_size(Size picture, int64_t longest);

// A picture as the encoder takes it: f32 [image_size, image_size, 3], resized so that its longer
// side fills the square, normalised, then padded with zeros to the right and below.
Tensor make_pixels(const imaging::Image& image, const SamInfo& info);

// The same by the op image_prep: rows (of `from` pixels, `to` in the square) or columns of the
// square, i32 [side, 1 + most]; behind `to` there are none.
Tensor make_prep_taps(int64_t from, int64_t to, int64_t side);

}  // namespace tenon::sam
