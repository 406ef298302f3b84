#include "runtime/binding.h"

#include <gtest/gtest.h>

#include "backends/reference/impl_list.h"
#include "ops/attention.h"
#include "ops/reshape.h"
#include "ops/slice.h"
#include "ops/unary.h"

namespace tenon::runtime {
namespace {

int32_t add_value(plan::Stage& stage, plan::ValueRole role, const Shape& shape, int32_t first,
                  int32_t last) {
  plan::ValueInfo value;
  value.role = role;
  value.type = {DType::F32, shape, {}};
  value.first_step = first, value.last_step = last;
  stage.values.push_back(value);
  return static_cast<int32_t>(stage.values.size()) - 1;
}

template <class Op>
void add_step(plan::Stage& stage, const Op& op, std::vector<int32_t> inputs, int32_t output) {
  plan::Step step;
  step.op = Op::kName;
  step.attributes = ops::to_attributes(op);
  step.inputs = std::move(inputs);
  step.outputs = {output};
  stage.steps.push_back(std::move(step));
}

// x -> packed -> [1, 4, 12] -> q, k, v -> attention; and a part of packed that others read, too.
struct Packed {
  Packed() {
    using enum plan::ValueRole;
    x = add_value(stage, Input, {4, 12}, -1, -1);
    packed = add_value(stage, Intermediate, {4, 12}, 0, 1);
    whole = add_value(stage, Intermediate, {1, 4, 12}, 1, 5);
    for (int32_t i = 0; i < 3; ++i) parts[i] = add_value(stage, Intermediate, {1, 4, 4}, 2 + i, 6);
    other = add_value(stage, Intermediate, {1, 4, 4}, 5, 7);
    out = add_value(stage, Intermediate, {1, 4, 4}, 6, 8);
    end = add_value(stage, Intermediate, {1, 4, 4}, 7, 8);
    stage.inputs = {x}, stage.outputs = {out, end};
    add_step(stage, ops::Unary{}, {x}, packed);
    add_step(stage, ops::Reshape{{"1", "4", "12"}}, {packed}, whole);
    for (int32_t i = 0; i < 3; ++i)
      add_step(stage, ops::Slice{2, 4 * i, 4 * i + 4}, {whole}, parts[i]);
    add_step(stage, ops::Slice{2, 2, 6}, {whole}, other);
    add_step(stage, ops::Attention{.heads = 1, .head_dim = 4, .dtype = ""},
             {parts[0], parts[1], parts[2], -1, -1}, out);
    add_step(stage, ops::Unary{}, {other}, end);
  }
  Binding bind() const {
    return bind_stage(stage, {}, {{"reference", reference::implementations()}});
  }
  plan::Stage stage;
  int32_t x, packed, whole, parts[3], other, out, end;
};

TEST(Binding, ReshapesAndPartsThatAreAttendedShowTheMemoryOfOthers) {
  Packed model;
  Binding binding = model.bind();
  EXPECT_EQ(binding.shows[model.whole], model.packed);
  for (int32_t part : model.parts) EXPECT_EQ(binding.shows[part], model.whole);
  EXPECT_EQ(binding.shows[model.other], -1);  // unary reads it
  EXPECT_EQ(binding.shows[model.out], -1);
  EXPECT_EQ(binding.offsets[model.whole], -1);
}

TEST(Binding, MemoryLivesAsLongAsWhatShowsIt) {
  Packed model;
  Binding binding = model.bind();
  // Both are written while parts of `packed` are still to be read.
  auto apart = [&](int32_t value, int64_t bytes) {
    int64_t from = binding.offsets[value], packed = binding.offsets[model.packed];
    return from >= packed + 4 * 12 * 4 || from + bytes <= packed;
  };
  EXPECT_TRUE(apart(model.other, 64));
  EXPECT_TRUE(apart(model.out, 64));
}

}  // namespace
}  // namespace tenon::runtime
