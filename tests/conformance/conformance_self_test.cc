#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "backends/reference/access.h"
#include "backends/reference/impl_list.h"
#include "conformance.h"
#include "ops/kv_cache.h"
#include "ops/unary.h"
#include "paged_batch.h"
#include "ragged_cases.h"
#include "tolerance.h"

// The suite must see each fault it is there for: every test breaks a right implementation in one
// way.
namespace tenon::conformance {
namespace {

Case relu_case(DType y = DType::F32) {
  Random random("relu");
  Case result{"relu", ops::to_attributes(ops::Unary{"relu", std::string(dtype_name(y))}), {}};
  result.inputs.push_back(random_floats(random, DType::F32, {3, 17}));
  return result;
}

std::string problems_of(const Suite& suite, const Case& test_case, const ops::Implementation& right,
                        void (*run)(const ops::RunArgs&),
                        int64_t (*workspace)(const ops::OpDesc&) = nullptr) {
  ops::Implementation broken = right;
  broken.run = run;
  broken.workspace_bytes = workspace;
  std::string all;
  for (const std::string& problem :
       run_case(broken, suite, test_case, compute_exact(suite.op, test_case)).problems) {
    all += problem + "; ";
  }
  return all;
}

std::string problems_of_relu(void (*run)(const ops::RunArgs&), DType y = DType::F32) {
  Suite suite{.op = "unary", .cases = {}, .bounds = zero_bounds, .check = {}};
  auto workspace = [](const ops::OpDesc&) -> int64_t { return 100; };
  return problems_of(suite, relu_case(y), reference::kUnary, run, workspace);
}

TEST(ConformanceSelf, PassesWhatIsRight) {
  EXPECT_EQ(problems_of_relu([](const ops::RunArgs& args) { reference::kUnary.run(args); }), "");
}

TEST(ConformanceSelf, SeesAWrongValueAndAMissingOne) {
  EXPECT_NE(problems_of_relu([](const ops::RunArgs& args) {
              reference::kUnary.run(args);
              args.outputs[0].as<float>()[50] += 1e-6f;
            }).find("output 0 element 50"),
            std::string::npos);
  EXPECT_NE(problems_of_relu([](const ops::RunArgs& args) {
              std::vector<float> keep(args.outputs[0].as<float>(),
                                      args.outputs[0].as<float>() + 51);
              reference::kUnary.run(args);
              args.outputs[0].as<float>()[50] = keep[50];
            }).find("nan"),
            std::string::npos);
}

TEST(ConformanceSelf, SeesRoundingThatIsNotNearest) {
  EXPECT_NE(problems_of_relu(
                [](const ops::RunArgs& args) {
                  const float* x = args.inputs[0].as<float>();
                  for (int64_t i = 0; i < args.outputs[0].count(); ++i) {
                    float value = std::max(x[i], 0.0f);
                    args.outputs[0].as<uint16_t>()[i] =
                        static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
                  }
                },
                DType::BF16)
                .find("must be"),
            std::string::npos);
}

TEST(ConformanceSelf, SeesWritesWhereNoneIsAllowed) {
  EXPECT_NE(problems_of_relu([](const ops::RunArgs& args) {
              reference::kUnary.run(args);
              args.outputs[0].as<float>()[51] = 0;
            }).find("wrote outside output 0"),
            std::string::npos);
  EXPECT_NE(problems_of_relu([](const ops::RunArgs& args) {
              reference::kUnary.run(args);
              args.outputs[0].as<float>()[-1] = 0;
            }).find("wrote outside output 0"),
            std::string::npos);
  EXPECT_NE(problems_of_relu([](const ops::RunArgs& args) {
              reference::kUnary.run(args);
              args.workspace.data()[100] = std::byte{0};
            }).find("wrote outside the workspace"),
            std::string::npos);
  EXPECT_NE(problems_of_relu([](const ops::RunArgs& args) {
              reference::kUnary.run(args);
              args.inputs[0].as<float>()[3] = 0;
            }).find("changed input 0"),
            std::string::npos);
}

TEST(ConformanceSelf, SeesResultsThatDependOnGarbage) {
  EXPECT_NE(problems_of_relu([](const ops::RunArgs& args) {
              reference::kUnary.run(args);
              // NaN poison gives the right value; other garbage does not.
              auto garbage = *reinterpret_cast<const float*>(args.workspace.data());
              if (!std::isnan(garbage)) args.outputs[0].as<float>()[0] += 1;
            }).find("other bits"),
            std::string::npos);
}

TEST(ConformanceSelf, SeesAStateChangedOutsideItsNewPositions) {
  PagedBatch batch = make_random_paged_batch({.seqs = {{5, 2}}, .holds_fresh = false}, "self");
  Random random("self");
  Case test_case{"append", ops::to_attributes(ops::KvAppend{1, 8}), {}};
  test_case.output_count = 0;
  for (int i = 0; i < 2; ++i) test_case.inputs.push_back(random_floats(random, DType::F32, {2, 8}));
  add_ragged_inputs(test_case, batch);
  Suite suite{.op = "kv_append", .cases = {}, .bounds = zero_bounds, .check = {}};
  auto right = [](const ops::RunArgs& args) { reference::kKvAppend.run(args); };
  EXPECT_EQ(problems_of(suite, test_case, reference::kKvAppend, right), "");
  auto scribbles = [](const ops::RunArgs& args) {
    reference::kKvAppend.run(args);
    // A NaN of other bits, in a slot that nothing may touch.
    args.inputs[5].as<uint32_t>()[args.inputs[5].count() - 1] = 0x7FC12345;
  };
  EXPECT_NE(problems_of(suite, test_case, reference::kKvAppend, scribbles).find("must not be"),
            std::string::npos);
  auto forgets = [](const ops::RunArgs&) {};
  EXPECT_NE(problems_of(suite, test_case, reference::kKvAppend, forgets).find("state element"),
            std::string::npos);
}

TEST(ConformanceSelf, HalfUlpFollowsTheFormats) {
  EXPECT_EQ(half_ulp(DType::F32, 1.0), 0x1p-24);
  EXPECT_EQ(half_ulp(DType::F32, 1.99), 0x1p-24);
  EXPECT_EQ(half_ulp(DType::BF16, 1.0), 0x1p-8);
  EXPECT_EQ(half_ulp(DType::F16, 3.0), 0x1p-10);
  EXPECT_EQ(half_ulp(DType::F16, 0.0), 0x1p-25);  // subnormal spacing is 2^-24
}

}  // namespace
}  // namespace tenon::conformance
