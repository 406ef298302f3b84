#pragma once

#include <array>
#include <span>

#include "imaging/image.h"
#include "imaging/mask.h"

namespace tenon::imaging {

using Colour = std::array<uint8_t, 3>;

// Colours that neighbours tell apart, the first a blue; the same for the same index.
Colour overlay_colour(size_t index);

// Colours the masked pixels of the picture, half and half, with a line of full colour along the
// mask's border. Sizes agree.
void draw_mask(Image& image, const Mask& mask, Colour colour);

}  // namespace tenon::imaging
