#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "imaging/image.h"
#include "imaging/mask.h"

namespace tenon::imaging {

std::vector<std::byte> encode_png(const Image& image);
// One bit a pixel: white where the mask holds, black elsewhere.
std::vector<std::byte> encode_png(const Mask& mask);

// The file appears whole or not at all.
void write_png(const std::string& path, const Image& image);
void write_png(const std::string& path, const Mask& mask);

}  // namespace tenon::imaging
