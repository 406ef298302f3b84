#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <vector>

namespace tenon::llm {

class BlockAllocator;

// Owns some blocks of the KV cache and gives them back when it goes.
class Blocks {
 public:
  Blocks() = default;
  Blocks(Blocks&& other) noexcept { swap(other); }
  Blocks& operator=(Blocks&& other) noexcept {
    Blocks taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~Blocks();

  std::span<const int32_t> ids() const { return ids_; }
  // Gives back all behind the first `count`.
  void keep_first(int64_t count);
  // Takes over blocks of the same allocator, behind its own.
  void append(Blocks more);

 private:
  friend class BlockAllocator;
  void swap(Blocks& other) noexcept;
  BlockAllocator* allocator_ = nullptr;
  std::vector<int32_t> ids_;
};

// Hands out blocks of the paged KV cache. Must outlive the Blocks it made.
class BlockAllocator {
 public:
  BlockAllocator(int64_t blocks, int64_t block_size);
  BlockAllocator(const BlockAllocator&) = delete;
  BlockAllocator& operator=(const BlockAllocator&) = delete;

  int64_t blocks() const { return blocks_; }
  int64_t block_size() const { return block_size_; }
  int64_t free_blocks() const { return static_cast<int64_t>(free_.size()); }
  int64_t blocks_for(int64_t positions) const;
  // The caller makes sure that so many are free. The lowest ids go first, so that little of the
  // cache is ever touched where few sequences run.
  Blocks make_blocks(int64_t count);

 private:
  friend class Blocks;
  int64_t blocks_, block_size_;
  std::set<int32_t> free_;
};

}  // namespace tenon::llm
