#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "base/error.h"

namespace tenon {

inline constexpr int kMaxRank = 8;

// The concrete sizes (or strides) of a tensor, without allocation.
class Extents {
 public:
  Extents() = default;
  Extents(std::initializer_list<int64_t> values) {
    for (int64_t value : values) push_back(value);
  }
  static Extents of(std::span<const int64_t> values) {
    Extents extents;
    for (int64_t value : values) extents.push_back(value);
    return extents;
  }

  int rank() const { return rank_; }
  size_t size() const { return rank_; }
  int64_t operator[](int axis) const { return values_[axis]; }
  int64_t& operator[](int axis) { return values_[axis]; }
  int64_t back() const { return values_[rank_ - 1]; }
  const int64_t* begin() const { return values_.data(); }
  const int64_t* end() const { return values_.data() + rank_; }
  std::span<const int64_t> span() const { return {values_.data(), static_cast<size_t>(rank_)}; }

  void push_back(int64_t value) {
    if (rank_ == kMaxRank)
      throw Error(ErrorCode::Unsupported, "tensor rank").accepted("at most 8 dimensions");
    values_[rank_++] = value;
  }

  int64_t count() const {
    int64_t product = 1;
    for (int64_t value : *this) product *= value;
    return product;
  }

  bool operator==(const Extents& other) const {
    if (rank_ != other.rank_) return false;
    for (int i = 0; i < rank_; ++i) {
      if (values_[i] != other.values_[i]) return false;
    }
    return true;
  }

  std::string to_string() const {
    std::string out = "[";
    for (int i = 0; i < rank_; ++i) out += (i ? ", " : "") + std::to_string(values_[i]);
    return out + "]";
  }

 private:
  std::array<int64_t, kMaxRank> values_{};
  int rank_ = 0;
};

}  // namespace tenon
