#include "pipelines/llm/step_inputs.h"

#include <gmock/gmock.h>

namespace tenon::llm {
namespace {

using testing::ElementsAre;

template <class T>
std::vector<T> values(const TensorView& view) {
  return {view.as<const T>(), view.as<const T>() + view.count()};
}

TEST(StepInputs, LaysOutARaggedStep) {
  StepInputs inputs(2, 3);
  std::vector<int32_t> decode = {7}, prompt = {4, -2, -1}, blocks_a = {5, 1}, blocks_b = {0};
  std::vector<float> rows = {1, 2, 3, 4};
  std::vector<const float*> embed_rows = {&rows[0], &rows[2]};
  inputs.add({decode, {}, 20, blocks_a, StepPart::Rows::Last});
  inputs.add({prompt, embed_rows, 0, blocks_b, StepPart::Rows::None});
  inputs.add({prompt, embed_rows, 3, blocks_b, StepPart::Rows::All});

  auto views = inputs.views();
  EXPECT_THAT(values<int32_t>(views[0]), ElementsAre(7, 4, -1, -2, 4, -3, -4));
  EXPECT_EQ(views[1].extents, (Extents{4, 2}));
  EXPECT_THAT(values<float>(views[1]), ElementsAre(3, 4, 1, 2, 3, 4, 1, 2));
  EXPECT_THAT(values<int32_t>(views[2]), ElementsAre(20, 0, 1, 2, 3, 4, 5));
  EXPECT_THAT(values<int32_t>(views[3]), ElementsAre(0, 1, 4, 7));
  EXPECT_THAT(values<int32_t>(views[4]), ElementsAre(21, 3, 6));
  EXPECT_EQ(views[5].extents, (Extents{3, 3}));
  EXPECT_THAT(values<int32_t>(views[5]), ElementsAre(5, 1, 0, 0, 0, 0, 0, 0, 0));
  EXPECT_THAT(values<int32_t>(views[6]), ElementsAre(0, 4, 5, 6));

  inputs.clear();
  inputs.add({decode, {}, 0, blocks_b, StepPart::Rows::None});
  views = inputs.views();
  EXPECT_EQ(views[1].extents, (Extents{0, 2}));
  EXPECT_EQ(views[6].extents, (Extents{0}));
  // An empty tensor is there; it is not an absent one.
  EXPECT_TRUE(views[1].defined());
  EXPECT_TRUE(views[6].defined());
}

}  // namespace
}  // namespace tenon::llm
