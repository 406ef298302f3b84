#include "text/merge_few.h"

#include <algorithm>
#include <array>

namespace tenon::text {
namespace {

// The merge that each place offers, and the lowest of every eight: the next one is found by a look
// at few numbers. A key has the rank in its upper bits, then the place.
class Offers {
 public:
  static constexpr uint64_t kNone = ~uint64_t{0};

  explicit Offers(size_t places) : groups_((places + kGroup - 1) / kGroup) {
    std::fill_n(keys_.begin(), groups_ * kGroup, kNone);
  }
  void set(size_t place, int32_t rank) {
    keys_[place] = rank < 0 ? kNone : static_cast<uint64_t>(rank) << 8 | place;
  }
  // Must follow every set() before lowest() is asked.
  void update(size_t place) { lowest_[place / kGroup] = lowest_of_group(place / kGroup); }
  void update_all() {
    for (size_t group = 0; group < groups_; ++group) lowest_[group] = lowest_of_group(group);
  }
  uint64_t lowest() const {
    uint64_t key = lowest_[0];
    for (size_t group = 1; group < groups_; ++group) key = std::min(key, lowest_[group]);
    return key;
  }
  static size_t place_of(uint64_t key) { return key & 0xFF; }

 private:
  static constexpr size_t kGroup = 8;
  static_assert(kFewSymbols % kGroup == 0 && kFewSymbols <= 256);

  uint64_t lowest_of_group(size_t group) const {
    const uint64_t* keys = &keys_[group * kGroup];
    uint64_t first = std::min(std::min(keys[0], keys[1]), std::min(keys[2], keys[3]));
    uint64_t second = std::min(std::min(keys[4], keys[5]), std::min(keys[6], keys[7]));
    return std::min(first, second);
  }

  size_t groups_;
  std::array<uint64_t, kFewSymbols> keys_;
  std::array<uint64_t, kFewSymbols / kGroup> lowest_;
};

}  // namespace

void merge_few(const MergeTable& table, std::span<const int32_t> symbols, int32_t begin,
               std::vector<MergedToken>& out) {
  size_t count = symbols.size();
  std::array<int32_t, kFewSymbols> slots, merged;
  std::array<uint8_t, kFewSymbols + 1> next, previous;
  Offers offers(count);
  auto offer = [&](size_t place) {
    MergeTable::Merge merge;
    if (next[place] < count) merge = table.find(slots[place], slots[next[place]]);
    offers.set(place, merge.rank);
    merged[place] = merge.merged;
  };
  for (size_t i = 0; i < count; ++i) {
    slots[i] = symbols[i];
    next[i] = static_cast<uint8_t>(i + 1);
    previous[i + 1] = static_cast<uint8_t>(i);
  }
  for (size_t i = 0; i < count; ++i) offer(i);
  offers.update_all();
  for (uint64_t key; (key = offers.lowest()) != Offers::kNone;) {
    size_t place = Offers::place_of(key), gone = next[place];
    slots[place] = merged[place];
    next[place] = next[gone];
    previous[next[gone]] = static_cast<uint8_t>(place);
    offers.set(gone, -1);
    offer(place);
    offers.update(gone);
    offers.update(place);
    if (place == 0) continue;
    offer(previous[place]);
    offers.update(previous[place]);
  }
  for (size_t i = 0; i < count; i = next[i]) {
    out.push_back({slots[i], begin + static_cast<int32_t>(i)});
  }
}

}  // namespace tenon::text
