#include "ops/expression.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "ops/fused.h"
#include "ops/op_list.h"

namespace tenon::ops {
namespace {

TEST(Expression, PrintsWhatItReads) {
  const std::pair<const char*, const char*> cases[] = {
      {"x0", "x0"},
      {"x0+x1", "x0 + x1"},
      {"x0 - x1 - x2", "(x0 - x1) - x2"},
      {"x0 - (x1 - x2)", "x0 - (x1 - x2)"},
      {"x0 + x1 * x0", "x0 + (x1 * x0)"},
      {"x0 / x1 * 2", "(x0 / x1) * 2"},
      {" silu( x0 ) * -0.5 ", "silu(x0) * -0.5"},
      {"exp(neg(x0 + 1e-3))", "exp(neg(x0 + 0.001))"},
      {"((x0))", "x0"},
  };
  for (auto [text, printed] : cases) {
    Expression expression = Expression::parse(text);
    EXPECT_EQ(expression.to_string(), printed);
    EXPECT_EQ(Expression::parse(printed).steps, expression.steps) << text;
  }
}

TEST(Expression, CountsWhatARunNeeds) {
  Expression expression = Expression::parse("(x0 + x1) * (x0 - silu(x2))");
  EXPECT_EQ(expression.inputs, 3);
  EXPECT_EQ(expression.depth, 3);
  EXPECT_EQ(expression.operations(), 4);
}

std::string chain(const std::string& piece, int count) {
  std::string text = "x0";
  for (int i = 0; i < count; ++i) text += piece;
  return text;
}
std::string nested(int count) {
  std::string open, close;
  for (int i = 0; i < count; ++i) {
    open += "(x0 + ";
    close += ")";
  }
  return open + "x0" + close;
}

TEST(Expression, RefusesWhatItDoesNotMean) {
  const std::string cases[] = {"",         "x",         "x8",
                               "x-1",      "y0",        "x0 +",
                               "+ x0",     "x0 x0",     "(x0",
                               "x0)",      "relu x0",   "relu()",
                               "tan(x0)",  "1",         "x1",
                               "x0 + x2",  "x0 + 1e99", "x0 + nan",
                               "x0 + inf", "x0, x1",    "x0 ** x0",
                               "x0 + .",   "x00000001", "x0\n",
                               "x0;",      nested(200), std::string(5000, '(')};
  for (const std::string& text : cases) {
    try {
      Expression::parse(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::BadInput) << text;
    }
  }
}

TEST(Expression, HoldsItsLimits) {
  EXPECT_NO_THROW(Expression::parse(chain(" + x0", 31)));
  EXPECT_THROW(Expression::parse(chain(" + x0", 32)), Error);
  EXPECT_NO_THROW(Expression::parse(nested(11)));
  EXPECT_THROW(Expression::parse(nested(12)), Error);
  // Any byte anywhere: an answer or a refusal.
  for (int byte = 0; byte < 256; ++byte) {
    for (size_t at = 0; at < 18; ++at) {
      std::string text = "silu(x0 * x1) - x0";
      text[at] = static_cast<char>(byte);
      try {
        Expression::parse(text);
      } catch (const Error&) {
      }
    }
  }
}

std::vector<ValueType> infer(const std::string& expression, std::vector<ValueType> inputs) {
  std::vector<const ValueType*> pointers;
  for (const ValueType& input : inputs) pointers.push_back(&input);
  Attributes attributes = to_attributes(Fused{expression, ""});
  InferContext context(attributes, pointers, {}, 1);
  builtin_catalogue().at("fused").infer(context);
  return context.outputs();
}

TEST(Fused, BroadcastsAllInputs) {
  ValueType wide{DType::BF16, {Dim::symbol("n"), Dim(8)}, {}}, row{DType::F32, {Dim(8)}, {}};
  ValueType column{DType::F32, {Dim(3), Dim(1), Dim(1)}, {}};
  ValueType y = infer("x0 * x1 + x2", {row, column, wide})[0];
  EXPECT_EQ(to_string(y), "f32[3, n, 8]");
  EXPECT_EQ(to_string(infer("relu(x0)", {wide})[0]), "bf16[n, 8]");
}

TEST(Fused, RefusesOtherInputsThanTheExpressionReads) {
  ValueType row{DType::F32, {Dim(8)}, {}}, other{DType::F32, {Dim(7)}, {}};
  ValueType ids{DType::I32, {Dim(8)}, {}};
  EXPECT_THROW(infer("x0", {row, row}), Error);
  EXPECT_THROW(infer("x0 + x1", {row}), Error);
  EXPECT_THROW(infer("x0 + x1", {row, other}), Error);
  EXPECT_THROW(infer("neg(x0)", {ids}), Error);
}

}  // namespace
}  // namespace tenon::ops
