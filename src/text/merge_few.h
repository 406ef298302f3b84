#pragma once

#include <span>
#include <vector>

#include "text/merge_queue.h"

namespace tenon::text {

inline constexpr size_t kFewSymbols = 128;

// What MergeQueue::merge() does, for at most kFewSymbols and without touching the heap: scans for
// the lowest rank.
void merge_few(const MergeTable& table, std::span<const int32_t> symbols, int32_t begin,
               std::vector<MergedToken>& out);

}  // namespace tenon::text
