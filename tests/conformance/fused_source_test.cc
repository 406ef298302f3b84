// The CUDA source that `fused` generates. It is compiled for every architecture wherever NVRTC is,
// which needs no GPU; without NVRTC its text is checked.
#include "backends/cuda/fused/source.h"

#include <gmock/gmock.h>

#include <set>

#include "fused_cases.h"
#ifdef TENON_HAS_CUDA_BACKEND
#include <future>

#include "backends/cuda/fused/nvrtc.h"
#endif

namespace tenon::conformance {
namespace {

using cuda::FusedCall;
using cuda::FusedSource;
using testing::HasSubstr;
using testing::Not;

std::string source_of(const Case& test_case) {
  auto op = ops::read_attributes<ops::Fused>(test_case.attributes);
  FusedSource source{ops::Expression::parse(op.expression), {}, *dtype_from_name(op.dtype)};
  for (const Operand& input : test_case.inputs) source.inputs.push_back(input.view.dtype);
  return cuda::fused_source(source);
}

std::set<std::string> all_sources() {
  std::set<std::string> sources;
  for (const Case& test_case : fused_cases()) sources.insert(source_of(test_case));
  return sources;
}

TEST(FusedSource, EveryKindCanBeWrittenDown) {
  for (std::string_view kind : ops::kUnaryKinds) {
    std::string text = std::string(kind) + "(x0)";
    EXPECT_EQ(cuda::fused_source_problem(ops::Expression::parse(text)), "") << text;
  }
}

TEST(FusedSource, IsWholeAndStandsAlone) {
  EXPECT_GE(all_sources().size(), 20u);
  for (const std::string& text : all_sources()) {
    EXPECT_THAT(text, Not(HasSubstr("#include")));
    for (auto [open, close] : {std::pair{'{', '}'}, {'(', ')'}, {'[', ']'}}) {
      EXPECT_EQ(std::count(text.begin(), text.end(), open),
                std::count(text.begin(), text.end(), close))
          << text;
    }
    EXPECT_THAT(text, HasSubstr(cuda::kFusedVectorKernel));
    EXPECT_THAT(text, HasSubstr(cuda::kFusedSingleKernel));
  }
}

TEST(FusedSource, SaysTheChainOnce) {
  FusedSource source{
      ops::Expression::parse("silu(x0) * x1 - 0.1"), {DType::BF16, DType::F32}, DType::F16};
  std::string text = cuda::fused_source(source);
  EXPECT_THAT(text, HasSubstr("load<BF16>(params.tensors[0]"));
  EXPECT_THAT(text, HasSubstr("load<F32>(params.tensors[1]"));
  EXPECT_THAT(text, HasSubstr("store<F16>(params.tensors[2]"));
  EXPECT_THAT(text, HasSubstr("float t1 = kind_silu(t0);"));
  // 0.1 as f32, to the bit.
  EXPECT_THAT(text, HasSubstr("(0x1.99999ap-4f)"));
  EXPECT_THAT(text, HasSubstr("float t5 = t3 - t4;"));
  EXPECT_EQ(text, cuda::fused_source(source));
}

// Views over nothing: only their sizes matter here.
TensorView view(const Extents& extents, DType dtype = DType::F32, uintptr_t address = 4096) {
  return {reinterpret_cast<void*>(address), dtype, extents};
}
FusedCall call(const std::vector<TensorView>& inputs, const TensorView& output) {
  return cuda::fused_call(inputs, output);
}

TEST(FusedCall, ContiguousTensorsAreOneRow) {
  FusedCall whole = call({view({4, 6, 8}), view({4, 6, 8})}, view({4, 6, 8}));
  EXPECT_EQ(whole.params.rows, 1);
  EXPECT_EQ(whole.columns, 4 * 6 * 8);
  EXPECT_TRUE(whole.vectors);
  EXPECT_EQ(whole.params.units, 4 * 6);
}

TEST(FusedCall, RepeatedAxesHaveStrideZero) {
  FusedCall row = call({view({4, 6, 8}), view({8})}, view({4, 6, 8}));
  EXPECT_EQ(row.params.rows, 24);
  EXPECT_EQ(row.params.outer, 1);
  EXPECT_EQ(row.params.tensors[0].strides[0], 8);
  EXPECT_EQ(row.params.tensors[1].strides[0], 0);
  EXPECT_EQ(row.params.tensors[1].step, 1);
  FusedCall column = call({view({4, 6, 8}), view({6, 1})}, view({4, 6, 8}));
  EXPECT_EQ(column.params.outer, 2);
  EXPECT_EQ(column.params.tensors[1].strides[0], 0);
  EXPECT_EQ(column.params.tensors[1].strides[1], 1);
  EXPECT_EQ(column.params.tensors[1].step, 0);
  EXPECT_TRUE(column.vectors);
}

TEST(FusedCall, VectorsNeedAlignedRows) {
  EXPECT_FALSE(call({view({5, 9})}, view({5, 9})).vectors);
  EXPECT_FALSE(call({view({8}, DType::F32, 4100)}, view({8})).vectors);
  EXPECT_TRUE(call({view({8}, DType::BF16)}, view({8})).vectors);
  TensorView odd = view({5, 8});
  odd.strides[0] = 9;
  EXPECT_FALSE(call({odd}, view({5, 8})).vectors);
}

TEST(FusedCall, ColumnsThatLieApartAreRows) {
  TensorView apart = view({5, 8});
  apart.strides[1] = 2;
  apart.strides[0] = 16;
  FusedCall single = call({apart}, view({5, 8}));
  EXPECT_EQ(single.columns, 1);
  EXPECT_EQ(single.params.rows, 40);
  EXPECT_FALSE(single.vectors);
  FusedCall scalar = call({view({})}, view({}));
  EXPECT_EQ(scalar.params.rows * scalar.columns, 1);
}

#ifdef TENON_HAS_CUDA_BACKEND
TEST(FusedSource, CompilesForEveryArchitecture) {
  std::string why;
  const cuda::Nvrtc* api = cuda::nvrtc(why);
  if (!api) GTEST_SKIP() << "skip compiling fused chains: " << why;
  for (const char* architecture : {"sm_80", "sm_86", "sm_89", "sm_90a"}) {
    std::vector<std::future<std::vector<char>>> all;
    for (const std::string& source : all_sources()) {
      all.push_back(std::async(std::launch::async, [=, &api] {
        return cuda::compile_cubin(*api, source, architecture);
      }));
    }
    for (auto& code : all) EXPECT_GT(code.get().size(), 1000u) << architecture;
  }
}

TEST(Nvrtc, SaysWhatIsWrongWithASource) {
  std::string why;
  const cuda::Nvrtc* api = cuda::nvrtc(why);
  if (!api) GTEST_SKIP() << "skip NVRTC: " << why;
  try {
    cuda::compile_cubin(*api, "__global__ void f() { undeclared(); }", "sm_80");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("undeclared"));
  }
  EXPECT_THROW(cuda::compile_cubin(*api, "", "sm_20"), Error);
}
#else
TEST(FusedSource, CompilesForEveryArchitecture) {
  GTEST_SKIP() << "skip compiling fused chains: this build has no CUDA back end";
}
#endif

}  // namespace
}  // namespace tenon::conformance
