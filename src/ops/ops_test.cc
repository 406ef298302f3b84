#include <gtest/gtest.h>

#include "ops/kv_cache.h"
#include "ops/linear.h"
#include "ops/op_list.h"
#include "ops/rms_norm.h"

namespace tenon::ops {
namespace {

std::vector<ValueType> infer(std::string_view op, const Attributes& attributes,
                             std::vector<ValueType> inputs, size_t outputs = 1) {
  std::vector<const ValueType*> pointers;
  for (const ValueType& input : inputs) pointers.push_back(&input);
  InferContext context(attributes, pointers, {}, outputs);
  builtin_catalogue().at(op).infer(context);
  return context.outputs();
}

TEST(Ops, LinearInfersSymbolicRows) {
  Dim tokens = Dim::symbol("tokens");
  auto out = infer("linear", to_attributes(Linear{.activation = "silu", .dtype = "f32"}),
                   {{DType::BF16, {tokens, 64}, {}}, {DType::BF16, {96, 64}, {}}});
  EXPECT_EQ(to_string(out[0]), "f32[tokens, 96]");
  EXPECT_THROW(infer("linear", {}, {{DType::F32, {tokens, 63}, {}}, {DType::F32, {96, 64}, {}}}),
               Error);
}

TEST(Ops, AttributesAreCheckedByNameAndType) {
  EXPECT_EQ(read_attributes<RmsNorm>(to_attributes(RmsNorm{.eps = 1e-5, .dtype = ""})).eps, 1e-5);
  EXPECT_THROW(read_attributes<RmsNorm>(Attributes().set("epsilon", 1e-5)), Error);
  EXPECT_THROW(read_attributes<RmsNorm>(Attributes().set("eps", true)), Error);
}

TEST(Ops, CatalogueRefusesReservedAndUnknownNames) {
  Catalogue catalogue;
  OpDef def = Linear::def();
  def.name = "all_reduce";
  EXPECT_THROW(catalogue.add(def), Error);
  try {
    builtin_catalogue().at("linera");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    EXPECT_NE(error.accepted().find("linear"), std::string::npos);
  }
}

}  // namespace
}  // namespace tenon::ops
