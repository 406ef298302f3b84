#include "pipelines/llm/block_allocator.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"

namespace tenon::llm {

Blocks::~Blocks() {
  if (allocator_) allocator_->free_.insert(ids_.begin(), ids_.end());
}

void Blocks::swap(Blocks& other) noexcept {
  std::swap(allocator_, other.allocator_);
  ids_.swap(other.ids_);
}

void Blocks::keep_first(int64_t count) {
  auto first = ids_.begin() + std::min<std::ptrdiff_t>(count, std::ssize(ids_));
  if (allocator_) allocator_->free_.insert(first, ids_.end());
  ids_.erase(first, ids_.end());
}

void Blocks::append(Blocks more) {
  if (!allocator_) {
    swap(more);
    return;
  }
  TENON_CHECK(more.ids_.empty() || more.allocator_ == allocator_);
  ids_.insert(ids_.end(), more.ids_.begin(), more.ids_.end());
  more.ids_.clear();
}

BlockAllocator::BlockAllocator(int64_t blocks, int64_t block_size)
    : blocks_(checked_cast<int32_t>(blocks, "cache_blocks")), block_size_(block_size) {
  TENON_CHECK(block_size > 0);
  for (int64_t id = 0; id < blocks; ++id) free_.insert(free_.end(), static_cast<int32_t>(id));
}

int64_t BlockAllocator::blocks_for(int64_t positions) const {
  return ceil_div(positions, block_size_);
}

Blocks BlockAllocator::make_blocks(int64_t count) {
  TENON_CHECK(count >= 0 && count <= free_blocks());
  Blocks blocks;
  blocks.ids_.reserve(count);
  blocks.allocator_ = this;
  while (static_cast<int64_t>(blocks.ids_.size()) < count) {
    blocks.ids_.push_back(*free_.begin());
    free_.erase(free_.begin());
  }
  return blocks;
}

}  // namespace tenon::llm
