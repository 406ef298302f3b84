#pragma once

#include <span>
#include <string>

#include "imaging/mask.h"

namespace tenon::cli {

// Masks of one picture for a terminal: a character for a cell of the picture, cells twice as high
// as wide. A cell that a mask covers by half or more has its letter ("#" where the
// mask is alone, else "a", "b", ... and "*" from the 27th on), the smallest such mask's; others a
// dot.
std::string sketch(std::span<const imaging::Mask> masks, int64_t columns = 64);

}  // namespace tenon::cli
