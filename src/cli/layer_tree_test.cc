#include "cli/layer_tree.h"

#include <gtest/gtest.h>

namespace tenon::cli {
namespace {

WeightFact weight(const std::string& name, Extents extents, DType dtype = DType::BF16) {
  int64_t count = extents.count();
  return {name, dtype, extents, count, dtype_bytes(dtype, count)};
}

TEST(LayerTree, EqualNeighboursAreShownOnce) {
  View view = layer_tree({weight("layers.0.w", {2, 3}), weight("layers.1.w", {2, 3}),
                          weight("layers.2.w", {2, 4}), weight("norm", {3}, DType::F32)});
  EXPECT_EQ(view.text,
            "layer                       parameters  bytes  type\n"
            "layers                              20   40 B  bf16\n"
            "  0-1 (2 alike, one below)          12   24 B  bf16\n"
            "    w                                6   12 B  bf16[2, 3]\n"
            "  2                                  8   16 B  bf16\n"
            "    w                                8   16 B  bf16[2, 4]\n"
            "norm                                 3   12 B  f32[3]\n"
            "total                               23   52 B\n");
  EXPECT_EQ(view.json.at("parameters", "$").as_int("$"), 23);
  EXPECT_EQ(view.json.at("layers", "$").as_array("$").size(), 4u);
}

TEST(LayerTree, SurvivesOddNames) {
  std::string deep;
  for (int i = 0; i < 4000; ++i) deep += "a.";
  View view = layer_tree({weight(deep, {1}), weight("", {1}), weight("..", {1}),
                          weight("x\x1b[31m", {1}), weight("x", {1}), weight("x.y", {1})});
  EXPECT_EQ(view.json.at("parameters", "$").as_int("$"), 6);
  EXPECT_EQ(view.text.find('\x1b'), std::string::npos);
}

TEST(LayerTree, OfNothing) {
  EXPECT_NE(layer_tree({}).text.find("total"), std::string::npos);
}

}  // namespace
}  // namespace tenon::cli
