#include "backends/cuda/fused/source.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <span>
#include <utility>

#include "base/error.h"
#include "ops/kinds.h"

namespace tenon::cuda {
namespace {

using ops::Expression;

// The kinds of ops/kinds.h, term by term as in kernels/device/functions.cuh.
constexpr std::pair<std::string_view, std::string_view> kFunctions[] = {
    {"gelu_erf", "return 0.5f * x * erfcf(-0.70710678118654752f * x);"},
    {"gelu_tanh",
     "float u = 0.79788456080286536f * (x + 0.044715f * x * x * x); "
     "return x * (1.0f / (1.0f + expf(-(2.0f * u))));"},
    {"quick_gelu", "return x * (1.0f / (1.0f + expf(-(1.702f * x))));"},
    {"silu", "return x / (1.0f + expf(-x));"},
    {"relu", "return x < 0.0f ? 0.0f : x;"},
    {"tanh", "return tanhf(x);"},
    {"sigmoid", "return 1.0f / (1.0f + expf(-x));"},
    {"exp", "return expf(x);"},
    {"neg", "return -x;"},
};

// A row's elements move as vectors of at most 16 bytes. The conversions are instructions, because
// cuda_fp16.h need not be there.
constexpr std::string_view kPreamble = R"(
typedef unsigned short u16;
typedef long long i64;
struct Tensor { char* data; i64 step; i64 strides[kAxes]; };
struct Params { i64 rows, units, outer; i64 extents[kAxes]; Tensor tensors[kTensors]; };

struct F32 {
  typedef float Stored;
  static __device__ float to(float v) { return v; }
  static __device__ float from(float v) { return v; }
};
struct BF16 {
  typedef u16 Stored;
  static __device__ float to(u16 v) { return __uint_as_float((unsigned)v << 16); }
  static __device__ u16 from(float v) {
    u16 r;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(v));
    return r;
  }
};
struct F16 {
  typedef u16 Stored;
  static __device__ float to(u16 v) {
    float r;
    asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(v));
    return r;
  }
  static __device__ u16 from(float v) {
    u16 r;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(v));
    return r;
  }
};
template <class S, int N>
struct alignas(sizeof(S) * N < 16 ? sizeof(S) * N : 16) Pack { S at[N]; };

template <class T, int N>
__device__ void load(const Tensor& tensor, i64 row, i64 column, float (&to)[N]) {
  const typename T::Stored* from = (const typename T::Stored*)tensor.data + row;
  if (tensor.step == 0) {
    float value = T::to(from[0]);
    for (int i = 0; i < N; ++i) to[i] = value;
    return;
  }
  Pack<typename T::Stored, N> pack = *(const Pack<typename T::Stored, N>*)(from + column);
  for (int i = 0; i < N; ++i) to[i] = T::to(pack.at[i]);
}
template <class T, int N>
__device__ void store(const Tensor& tensor, i64 row, i64 column, const float (&from)[N]) {
  Pack<typename T::Stored, N> pack;
  for (int i = 0; i < N; ++i) pack.at[i] = T::from(from[i]);
  *(Pack<typename T::Stored, N>*)((typename T::Stored*)tensor.data + row + column) = pack;
}
)";

// Programmatic dependent launch, as every kernel of the back end does it.
constexpr std::string_view kKernel = R"(
template <int N>
__device__ void run(const Params& params) {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
  i64 row_step = (i64)gridDim.y * blockDim.y, unit_step = (i64)gridDim.x * blockDim.x;
  i64 first = (i64)blockIdx.x * blockDim.x + threadIdx.x;
  for (i64 row = (i64)blockIdx.y * blockDim.y + threadIdx.y; row < params.rows; row += row_step) {
    i64 at[kUsed] = {};
    i64 rest = row;
    for (int axis = (int)params.outer - 1; axis >= 0; --axis) {
      i64 index = axis == 0 ? rest : rest % params.extents[axis];
      rest /= params.extents[axis];
      for (int i = 0; i < kUsed; ++i) at[i] += index * params.tensors[i].strides[axis];
    }
    for (i64 unit = first; unit < params.units; unit += unit_step) chain<N>(params, at, unit * N);
  }
}
extern "C" __global__ void fused_vector(const __grid_constant__ Params params) { run<kVector>(params); }
extern "C" __global__ void fused_single(const __grid_constant__ Params params) { run<1>(params); }
)";

std::string type_name(DType dtype) {
  switch (dtype) {
    case DType::F32:
      return "F32";
    case DType::BF16:
      return "BF16";
    case DType::F16:
      return "F16";
    default:
      throw Error(ErrorCode::Internal, "dtype was not refused").got(dtype_name(dtype));
  }
}

const std::string_view* function_body(std::string_view kind) {
  for (const auto& [name, body] : kFunctions) {
    if (name == kind) return &body;
  }
  return nullptr;
}

// Exact: hexadecimal.
std::string literal(double number) {
  char text[64];
  std::snprintf(text, sizeof text, "(%af)", static_cast<double>(static_cast<float>(number)));
  return text;
}

// One statement a step, in single assignment.
std::string statements(const Expression& expression) {
  std::string text;
  std::vector<std::string> stack;
  int count = 0;
  for (const Expression::Step& step : expression.steps) {
    std::string value;
    auto take = [&] {
      std::string name = stack.back();
      stack.pop_back();
      return name;
    };
    switch (step.op) {
      case Expression::Op::Input:
        value = "x" + std::to_string(step.index) + "[i]";
        break;
      case Expression::Op::Number:
        value = literal(step.number);
        break;
      case Expression::Op::Unary:
        value = "kind_" + std::string(ops::kUnaryKinds[step.index]) + "(" + take() + ")";
        break;
      case Expression::Op::Binary: {
        std::string b = take(), a = take();
        value = a + " " + "+-*/"[step.index] + " " + b;
        break;
      }
    }
    std::string name = "t" + std::to_string(count++);
    text += "    float " + name + " = " + value + ";\n";
    stack.push_back(name);
  }
  return text + "    y[i] = " + stack.at(0) + ";\n";
}

std::string functions_of(const Expression& expression) {
  std::string text;
  for (size_t kind = 0; kind < std::size(ops::kUnaryKinds); ++kind) {
    auto uses = [kind](const Expression::Step& step) {
      return step.op == Expression::Op::Unary && static_cast<size_t>(step.index) == kind;
    };
    if (std::none_of(expression.steps.begin(), expression.steps.end(), uses)) continue;
    const std::string_view* body = function_body(ops::kUnaryKinds[kind]);
    if (!body) throw Error(ErrorCode::Internal, "kind was not refused").got(ops::kUnaryKinds[kind]);
    text += "__device__ float kind_" + std::string(ops::kUnaryKinds[kind]) + "(float x) { " +
            std::string(*body) + " }\n";
  }
  return text;
}

TensorView broadcast(const TensorView& view, const Extents& extents) {
  TensorView result = view;
  result.extents = extents;
  result.strides = extents;
  for (int axis = 0; axis < extents.rank(); ++axis) {
    int own = axis - (extents.rank() - view.rank());
    result.strides[axis] = own >= 0 && view.extents[own] != 1 ? view.strides[own] : 0;
  }
  return result;
}

struct Axis {
  int64_t extent;
  std::vector<int64_t> strides;  // of each tensor
};

// Outermost first; none has one element, and no two could be one. At least the last is there.
std::vector<Axis> merged_axes(const std::vector<TensorView>& tensors) {
  std::vector<Axis> axes;
  const Extents& extents = tensors.back().extents;
  for (int i = 0; i < extents.rank(); ++i) {
    if (extents[i] == 1) continue;
    Axis axis{extents[i], {}};
    for (const TensorView& tensor : tensors) axis.strides.push_back(tensor.strides[i]);
    bool joins = !axes.empty();
    for (size_t t = 0; joins && t < tensors.size(); ++t) {
      joins = axes.back().strides[t] == axis.strides[t] * axis.extent;
    }
    if (joins) {
      axis.extent *= axes.back().extent;
      axes.back() = std::move(axis);
    } else {
      axes.push_back(std::move(axis));
    }
  }
  if (axes.empty()) axes.push_back({1, std::vector<int64_t>(tensors.size(), 1)});
  return axes;
}

bool may_use_vectors(const FusedParams& params, const std::vector<TensorView>& tensors,
                     int64_t columns) {
  if (columns % kFusedVector != 0) return false;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const FusedTensor& tensor = params.tensors[i];
    if (tensor.step == 0) continue;
    int64_t bytes = std::min<int64_t>(16, kFusedVector * dtype_bits(tensors[i].dtype) / 8);
    if (reinterpret_cast<uintptr_t>(tensor.data) % static_cast<uintptr_t>(bytes) != 0) return false;
    for (int64_t axis = 0; axis < params.outer; ++axis) {
      if (tensor.strides[axis] % kFusedVector != 0) return false;
    }
  }
  return true;
}

}  // namespace

std::string fused_source_problem(const Expression& expression) {
  for (const Expression::Step& step : expression.steps) {
    if (step.op != Expression::Op::Unary || function_body(ops::kUnaryKinds[step.index])) continue;
    return std::string(ops::kUnaryKinds[step.index]) + " has no source yet";
  }
  return "";
}

std::string fused_source(const FusedSource& source) {
  size_t inputs = source.inputs.size();
  std::string text = "// " + source.expression.to_string() + "\n";
  text += "static const int kAxes = " + std::to_string(kFusedAxes) + ";\n";
  // The parameters' layout has room for every input there may be.
  text += "static const int kTensors = " + std::to_string(Expression::kMostInputs + 1) + ";\n";
  text += "static const int kUsed = " + std::to_string(inputs + 1) + ";\n";
  text += "static const int kVector = " + std::to_string(kFusedVector) + ";\n";
  text += kPreamble;
  text += functions_of(source.expression);
  text +=
      "\ntemplate <int N>\n__device__ void chain(const Params& params, const i64 (&at)[kUsed],"
      " i64 column) {\n";
  for (size_t i = 0; i < inputs; ++i) {
    std::string index = std::to_string(i);
    text += "  float x" + index + "[N];\n  load<" + type_name(source.inputs[i]) +
            ">(params.tensors[" + index + "], at[" + index + "], column, x" + index + ");\n";
  }
  text += "  float y[N];\n  for (int i = 0; i < N; ++i) {\n" + statements(source.expression);
  text += "  }\n  store<" + type_name(source.output) + ">(params.tensors[" +
          std::to_string(inputs) + "], at[" + std::to_string(inputs) + "], column, y);\n}\n";
  return text + std::string(kKernel);
}

FusedCall fused_call(std::span<const TensorView> inputs, const TensorView& output) {
  std::vector<TensorView> tensors;
  for (const TensorView& input : inputs) tensors.push_back(broadcast(input, output.extents));
  tensors.push_back(output);
  std::vector<Axis> axes = merged_axes(tensors);
  FusedCall call{};
  Axis last = axes.back();
  axes.pop_back();
  // Columns that lie apart (a strided last axis) become rows of one column.
  auto is_plain = [](int64_t step) { return step == 0 || step == 1; };
  if (!std::all_of(last.strides.begin(), last.strides.end(), is_plain)) {
    axes.push_back(last);
    last = {1, std::vector<int64_t>(tensors.size(), 1)};
  }
  FusedParams& params = call.params;
  params.rows = 1;
  params.outer = std::ssize(axes);
  for (size_t axis = 0; axis < axes.size(); ++axis) {
    params.extents[axis] = axes[axis].extent;
    params.rows *= axes[axis].extent;
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    params.tensors[i].data = tensors[i].data;
    params.tensors[i].step = last.strides[i];
    for (size_t axis = 0; axis < axes.size(); ++axis) {
      params.tensors[i].strides[axis] = axes[axis].strides[i];
    }
  }
  call.columns = last.extent;
  call.vectors = may_use_vectors(params, tensors, call.columns);
  params.units = call.vectors ? call.columns / kFusedVector : call.columns;
  return call;
}

}  // namespace tenon::cuda
