#include "imaging/components.h"

#include <algorithm>

namespace tenon::imaging {
namespace {

// Provisional labels of which some turn out to be one region.
class Unions {
 public:
  int32_t add() {
    parents_.push_back(static_cast<int32_t>(parents_.size()));
    return parents_.back();
  }
  int32_t root(int32_t label) {
    while (parents_[label] != label) label = parents_[label] = parents_[parents_[label]];
    return label;
  }
  // The smaller label stays: roots come in the order of first pixels.
  int32_t join(int32_t a, int32_t b) {
    a = root(a), b = root(b);
    return parents_[std::max(a, b)] = std::min(a, b);
  }
  size_t size() const { return parents_.size(); }

 private:
  std::vector<int32_t> parents_;
};

}  // namespace

Components find_components(const Mask& mask) {
  Components found;
  found.labels.assign(mask.pixels.size(), 0);
  Unions unions;
  unions.add();  // 0: outside
  int64_t width = mask.width;
  for (int64_t y = 0; y < mask.height; ++y) {
    int32_t* row = found.labels.data() + y * width;
    for (int64_t x = 0; x < width; ++x) {
      if (!mask.at(x, y)) continue;
      int32_t label = x > 0 ? row[x - 1] : 0;
      for (int64_t above = std::max<int64_t>(x - 1, 0);
           y > 0 && above <= std::min(x + 1, width - 1); ++above) {
        int32_t other = row[above - width];
        if (other) label = label ? unions.join(label, other) : other;
      }
      row[x] = label ? label : unions.add();
    }
  }
  std::vector<int32_t> final_label(unions.size(), 0);
  for (int32_t& label : found.labels) {
    if (!label) continue;
    int32_t root = unions.root(label);
    if (!final_label[root]) {
      found.sizes.push_back(0);
      final_label[root] = static_cast<int32_t>(found.sizes.size());
    }
    label = final_label[root];
    ++found.sizes[label - 1];
  }
  return found;
}

bool remove_small_regions(Mask& mask, int64_t least, SmallRegions kind) {
  bool holes = kind == SmallRegions::Holes;
  Mask regions = mask;
  if (holes) {
    for (uint8_t& pixel : regions.pixels) pixel ^= 1;
  }
  Components found = find_components(regions);
  std::vector<bool> small(found.sizes.size() + 1, false);
  bool any = false, all = true;
  for (size_t i = 0; i < found.sizes.size(); ++i) {
    small[i + 1] = found.sizes[i] < least;
    any = any || small[i + 1];
    all = all && small[i + 1];
  }
  if (!any) return false;
  if (!holes && all) {
    auto largest = std::max_element(found.sizes.begin(), found.sizes.end());
    small[1 + (largest - found.sizes.begin())] = false;
  }
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    if (small[found.labels[i]]) mask.pixels[i] = holes ? 1 : 0;
  }
  return true;
}

}  // namespace tenon::imaging
