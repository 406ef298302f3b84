#include "frontends/torch_pickle/torch_globals.h"

#include <iterator>
#include <string>

#include "base/error.h"

namespace tenon::frontends {
namespace {

using enum TorchGlobal;

constexpr std::string_view kUtils = "torch._utils";
constexpr std::string_view kSparse = "sparse tensors are not read";
constexpr std::string_view kQuantised = "quantised tensors are not read";
constexpr std::string_view kComplex = "complex numbers are not read";
constexpr std::string_view kSubclass = "tensors of a class of their own are not read";
constexpr std::string_view kNumpy = "numpy arrays are not read";

// Everything a pickle may name. Nothing on the list is called: each entry is a case in
// TorchObjects. A function belongs here only if a state dict of plain tensors cannot be written
// without it.
constexpr AllowedGlobal kAllowed[] = {
    {"collections", "OrderedDict", OrderedDict},
    {"collections", "Counter", Counter},
    {"builtins", "set", Set},
    {"__builtin__", "set", Set},
    {"torch", "Size", Size},
    {kUtils, "_rebuild_tensor", RebuildTensor},
    {kUtils, "_rebuild_tensor_v2", RebuildTensorV2},
    {kUtils, "_rebuild_tensor_v3", RebuildTensorV3},
    {kUtils, "_rebuild_parameter", RebuildParameter},
    {kUtils, "_rebuild_parameter_with_state", RebuildParameterWithState},
    {"torch._tensor", "_rebuild_from_type_v2", RebuildFromType},
    {"torch", "Tensor", TensorType},
    {"torch.nn.parameter", "Parameter", TensorType},

    {"torch", "DoubleStorage", StorageType, DType::F64},
    {"torch", "FloatStorage", StorageType, DType::F32},
    {"torch", "HalfStorage", StorageType, DType::F16},
    {"torch", "BFloat16Storage", StorageType, DType::BF16},
    {"torch", "LongStorage", StorageType, DType::I64},
    {"torch", "IntStorage", StorageType, DType::I32},
    {"torch", "ShortStorage", StorageType, DType::I16},
    {"torch", "CharStorage", StorageType, DType::I8},
    {"torch", "ByteStorage", StorageType, DType::U8},
    {"torch", "BoolStorage", StorageType, DType::Bool},
    {"torch", "UntypedStorage", UntypedStorage},
    {"torch.storage", "UntypedStorage", UntypedStorage},

    {"torch", "float64", ElementType, DType::F64},
    {"torch", "float32", ElementType, DType::F32},
    {"torch", "float16", ElementType, DType::F16},
    {"torch", "bfloat16", ElementType, DType::BF16},
    {"torch", "int64", ElementType, DType::I64},
    {"torch", "int32", ElementType, DType::I32},
    {"torch", "int16", ElementType, DType::I16},
    {"torch", "int8", ElementType, DType::I8},
    {"torch", "uint8", ElementType, DType::U8},
    {"torch", "uint16", ElementType, DType::U16},
    {"torch", "uint32", ElementType, DType::U32},
    {"torch", "uint64", ElementType, DType::U64},
    {"torch", "bool", ElementType, DType::Bool},
    {"torch", "float8_e4m3fn", ElementType, DType::F8E4M3},
    {"torch", "float8_e5m2", ElementType, DType::F8E5M2},

    {"torch", "device", Inert},
    {"torch.serialization", "_get_layout", Inert},
    {"_codecs", "encode", Inert},
    {"numpy", "dtype", Inert},
    {"numpy.core.multiarray", "scalar", Inert},
    {"numpy._core.multiarray", "scalar", Inert},

    {kUtils, "_rebuild_sparse_tensor", Refused, {}, kSparse},
    {kUtils, "_rebuild_sparse_csr_tensor", Refused, {}, kSparse},
    {kUtils, "_rebuild_qtensor", Refused, {}, kQuantised},
    {"torch", "QInt8Storage", Refused, {}, kQuantised},
    {"torch", "QUInt8Storage", Refused, {}, kQuantised},
    {"torch", "QInt32Storage", Refused, {}, kQuantised},
    {"torch", "QUInt4x2Storage", Refused, {}, kQuantised},
    {"torch", "QUInt2x4Storage", Refused, {}, kQuantised},
    {"torch", "ComplexFloatStorage", Refused, {}, kComplex},
    {"torch", "ComplexDoubleStorage", Refused, {}, kComplex},
    {"torch", "complex32", Refused, {}, kComplex},
    {"torch", "complex64", Refused, {}, kComplex},
    {"torch", "complex128", Refused, {}, kComplex},
    {kUtils, "_rebuild_nested_tensor", Refused, {}, "nested tensors are not read"},
    {kUtils, "_rebuild_wrapper_subclass", Refused, {}, kSubclass},
    {"torch._tensor", "_rebuild_from_type", Refused, {}, kSubclass},
    {kUtils, "_rebuild_meta_tensor_no_storage", Refused, {}, "a tensor without data"},
    {kUtils, "_rebuild_device_tensor_from_numpy", Refused, {}, kNumpy},
    {kUtils,
     "_rebuild_device_tensor_from_cpu_tensor",
     Refused,
     {},
     "tensors of other devices are not read"},
    {kUtils, "_rebuild_xla_tensor", Refused, {}, "tensors of other devices are not read"},
    {"numpy.core.multiarray", "_reconstruct", Refused, {}, kNumpy},
    {"numpy._core.multiarray", "_reconstruct", Refused, {}, kNumpy},
    {"numpy", "ndarray", Refused, {}, kNumpy},
};

}  // namespace

int find_torch_global(std::string_view module, std::string_view name) {
  int number = 0;
  for (const AllowedGlobal& entry : kAllowed) {
    if (entry.module == module && entry.name == name) {
      if (entry.what != Refused) return number;
      Error error(ErrorCode::Unsupported, entry.reason);
      throw error.got(std::string(module) + "." + std::string(name))
          .accepted("dense tensors")
          .fix(
              "in PyTorch, save a state dict of dense tensors (x.dequantize(), x.to_dense(), "
              "torch.from_numpy(x))");
    }
    ++number;
  }
  Error error(ErrorCode::BadInput, "the file names a function or class that no weights need");
  throw error.got(std::string(module) + "." + std::string(name))
      .accepted("tensors and plain containers; nothing was run")
      .fix("only if you trust where it comes from: load it with PyTorch and save its state_dict()");
}

const AllowedGlobal& torch_global(int number) {
  TENON_CHECK(number >= 0 && number < static_cast<int>(std::size(kAllowed)));
  return kAllowed[number];
}

}  // namespace tenon::frontends
