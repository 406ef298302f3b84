#pragma once

#include <array>
#include <cstdint>

namespace tenon::llm {

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): random
// words as a function of a counter and a key, without state.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// The draw of the `index`-th new token of a request, in [0, 1). It depends on nothing else, so a
// request gets the same draws alone or in any batch.
float uniform_draw(uint64_t seed, uint64_t index);

}  // namespace tenon::llm
