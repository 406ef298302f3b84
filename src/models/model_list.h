#pragma once

#include <span>

#include "models/model.h"

namespace tenon::models {

// Every architecture Tenon can build.
std::span<const Architecture> architectures();

}  // namespace tenon::models
