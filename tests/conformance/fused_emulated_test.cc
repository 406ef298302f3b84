// The CUDA source that `fused` generates, run without a GPU: compiled for the host with the few
// words of CUDA defined away, then called for every thread of a grid. What remains for a GPU to
// show is the conversion instructions and its own exp, erfc and tanh.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "backends/cuda/fused/source.h"
#include "fused_cases.h"

namespace tenon::conformance {
namespace {

constexpr std::string_view kPrelude = R"(
#include <math.h>
#include <string.h>
#define __device__
#define __grid_constant__
struct Index { unsigned x, y; };
static Index gridDim{2, 3}, blockDim{8, 2}, blockIdx, threadIdx;
static float __uint_as_float(unsigned bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
static unsigned short host_bf16(float value) {
  unsigned bits;
  memcpy(&bits, &value, 4);
  if (value != value) return 0x7FFF;
  return (unsigned short)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
#ifdef __aarch64__
typedef __fp16 Half;  // gcc 12 has no _Float16 there
#else
typedef _Float16 Half;
#endif
static unsigned short host_f16(float value) {
  Half half = (Half)value;
  unsigned short bits;
  memcpy(&bits, &half, 2);
  return bits;
}
static float host_f32(unsigned short bits) {
  Half half;
  memcpy(&half, &bits, 2);
  return (float)half;
}
template <class Params, class Kernel>
static void run_grid(Kernel kernel, const void* bytes) {
  Params params;
  memcpy(&params, bytes, sizeof params);
  for (blockIdx.y = 0; blockIdx.y < gridDim.y; ++blockIdx.y)
    for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x)
      for (threadIdx.y = 0; threadIdx.y < blockDim.y; ++threadIdx.y)
        for (threadIdx.x = 0; threadIdx.x < blockDim.x; ++threadIdx.x) kernel(params);
}
)";

// Every occurrence; there must be one, or the source is not what this file stands for.
void replace_all(std::string& text, std::string_view from, std::string_view to) {
  size_t count = 0;
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
    ++count;
  }
  EXPECT_GT(count, 0u) << from;
}

std::string for_host(std::string source, const std::string& index) {
  replace_all(source, "asm(\"cvt.rn.bf16.f32 %0, %1;\" : \"=h\"(r) : \"f\"(v))",
              "r = host_bf16(v)");
  replace_all(source, "asm(\"cvt.rn.f16.f32 %0, %1;\" : \"=h\"(r) : \"f\"(v))", "r = host_f16(v)");
  replace_all(source, "asm(\"cvt.f32.f16 %0, %1;\" : \"=f\"(r) : \"h\"(v))", "r = host_f32(v)");
  replace_all(source, "extern \"C\" __global__ void", "static void");
  return "namespace chain_" + index + " {\n" + source + "}\nextern \"C\" void run_" + index +
         "(int vectors, const void* params) {\n  using namespace chain_" + index +
         ";\n  run_grid<Params>(vectors ? fused_vector : fused_single, params);\n}\n";
}

using Run = void (*)(int vectors, const void* params);

cuda::FusedSource source_of(const ops::OpDesc& desc) {
  auto op = ops::read_attributes<ops::Fused>(*desc.attributes);
  cuda::FusedSource source{ops::Expression::parse(op.expression), {}, desc.outputs[0].dtype};
  for (const ops::TensorDesc& input : desc.inputs) source.inputs.push_back(input.dtype);
  return source;
}

// All sources in one library, made once.
class HostLibrary {
 public:
  HostLibrary() {
    std::vector<Case> cases = fused_cases();
    std::string text(kPrelude);
    std::map<std::string, std::string> names;
    for (const Case& test_case : cases) {
      std::string source = cuda::fused_source(source_of(describe("fused", test_case)));
      if (names.count(source)) continue;
      std::string index = std::to_string(names.size());
      names[source] = "run_" + index;
      text += for_host(source, index);
    }
    std::string stem = testing::TempDir() + "/tenon_fused_" + std::to_string(getpid());
    std::ofstream(stem + ".cc") << text;
    std::string command = std::string(TENON_CXX) + " -std=c++20 -O1 -w -shared -fPIC -o " + stem +
                          ".so " + stem + ".cc";
    if (std::system(command.c_str()) == 0) handle_ = dlopen((stem + ".so").c_str(), RTLD_NOW);
    for (const auto& [source, name] : names) {
      if (handle_) runs_[source] = reinterpret_cast<Run>(dlsym(handle_, name.c_str()));
    }
    std::filesystem::remove(stem + ".cc");
    std::filesystem::remove(stem + ".so");
  }
  bool works() const { return handle_ != nullptr; }
  const Run* find(const std::string& source) const { return &runs_.at(source); }

 private:
  void* handle_ = nullptr;
  std::map<std::string, Run> runs_;
};

const HostLibrary& host_library() {
  static const HostLibrary library;
  return library;
}

std::shared_ptr<const void> prepare(const ops::OpDesc& desc) {
  const Run* run = host_library().find(cuda::fused_source(source_of(desc)));
  return std::shared_ptr<const void>(run, [](const void*) {});
}

template <bool kVectors>
void run(const ops::RunArgs& args) {
  if (args.outputs[0].count() == 0) return;
  cuda::FusedCall call = cuda::fused_call(args.inputs, args.outputs[0]);
  bool vectors = kVectors && call.vectors;
  call.params.units = vectors ? call.columns / cuda::kFusedVector : call.columns;
  (*static_cast<const Run*>(args.prepared))(vectors, &call.params);
}

TEST(FusedSource, ComputesTheChainOnTheHost) {
  if (!std::filesystem::exists(TENON_CXX)) {
    GTEST_SKIP() << "skip generated source on the host: no compiler at " << TENON_CXX;
  }
  ASSERT_TRUE(host_library().works());
  Suite suite{.op = "fused", .cases = fused_cases(), .bounds = fused_bounds, .check = {}};
  const ops::Implementation implementations[] = {
      {.name = "fused__emulated_vectors", .op = "fused", .prepare = prepare, .run = run<true>},
      {.name = "fused__emulated_single", .op = "fused", .prepare = prepare, .run = run<false>}};
  for (const Case& test_case : suite.cases) {
    Exact exact = compute_exact("fused", test_case);
    for (const ops::Implementation& implementation : implementations) {
      Comparison result = run_case(implementation, suite, test_case, exact);
      for (const std::string& problem : result.problems) {
        ADD_FAILURE() << implementation.name << " on " << test_case.name << ": " << problem;
      }
    }
  }
}

}  // namespace
}  // namespace tenon::conformance
