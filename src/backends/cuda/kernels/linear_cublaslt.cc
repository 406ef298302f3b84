#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <vector>

#include "backends/cuda/cublaslt.h"
#include "backends/cuda/cuda_error.h"
#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/linear.h"
#include "backends/cuda/kernels/support.h"
#include "base/checked.h"
#include "ops/linear.h"

// Many rows of x: the product by cuBLASLt, with f32 sums. In its column-major words y^T [n, m] is
// weight^T^T [n, k] times x^T [k, m].
//
// A bias and a residual of fitting types are part of the product. Anything else would be rounded
// twice, so then the product leaves f32 sums and linear_epilogue.cu makes y of them: cuBLASLt's own
// activations are ReLU and the tanh form of GELU, and its 16-bit outputs take no f32 bias. In f16,
// where a rounding costs 2^-12, another activation is made of rounded sums in place: f32 sums would
// cost three times the traffic.
namespace tenon::cuda {
namespace {

constexpr int64_t kLibraryWorkspace = 32 << 20;  // what NVIDIA advises for Hopper
constexpr int64_t kAlignment = 256;

void check_lt(const CublasLt& lt, cublasStatus_t status, std::string_view what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(ErrorCode::DeviceFault, "cuBLASLt call failed")
      .at(what)
      .got(lt.status_string(status));
}

cudaDataType_t type_of(DType dtype) {
  if (dtype == DType::BF16) return CUDA_R_16BF;
  return dtype == DType::F16 ? CUDA_R_16F : CUDA_R_32F;
}

// The largest power of two up to 256 that divides addresses and row distances of a matrix.
int64_t alignment_of(const MatrixRef& matrix) {
  auto bits = reinterpret_cast<uint64_t>(matrix.data) |
              static_cast<uint64_t>(matrix.pitch * (dtype_bits(matrix.dtype) / 8)) | kAlignment;
  return static_cast<int64_t>(bits & -bits);
}

// One product as cuBLASLt sees it: everything its choice depends on.
struct Product {
  MatrixRef x, weight, c, d;
  const void* bias = nullptr;
  bool adds_c = false;
  LibraryActivation activation = LibraryActivation::None;
  int m = 0, n = 0, k = 0;
  int proposal = 0;     // of the library: 0 is its first
  int bucket_rows = 0;  // for which proposals other than the first are asked

  using Key = std::array<int64_t, 19>;
  Key key(int device) const {
    return {device,
            m,
            n,
            k,
            x.pitch,
            weight.pitch,
            c.pitch,
            d.pitch,
            alignment_of(x),
            alignment_of(weight),
            alignment_of(c),
            alignment_of(d),
            static_cast<int64_t>(x.dtype),
            static_cast<int64_t>(d.dtype),
            adds_c,
            bias != nullptr,
            static_cast<int64_t>(activation),
            proposal,
            proposal > 0 ? bucket_rows : 0};
  }
};

cublasLtEpilogue_t epilogue_of(const Product& product) {
  bool bias = product.bias != nullptr;
  if (product.activation == LibraryActivation::GeluTanh)
    return bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
  if (product.activation == LibraryActivation::Relu)
    return bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
  return bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

// The objects of one product and the algorithm chosen for it. They live as long as the process.
struct Choice {
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t weight = nullptr, x = nullptr, c = nullptr, d = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
  bool found = false;
};

// Handles and choices of this process. The choice is the library's first proposal: it depends on
// sizes, types and alignment alone, so the same call gives the same bits every time. A tactic may
// name a later proposal: the one for the largest call of the bucket, where it does this call too.
class Library {
 public:
  explicit Library(const CublasLt& lt) : lt_(lt) {}

  // False where cuBLASLt has no algorithm for it.
  bool multiply(const Product& product, void* workspace, cudaStream_t stream) {
    std::lock_guard lock(mutex_);
    int device = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    cublasLtHandle_t& handle = handles_[device];
    if (!handle) check_lt(lt_, lt_.create(&handle), "cublasLtCreate");
    auto [entry, added] = choices_.try_emplace(product.key(device));
    Choice& choice = entry->second;
    if (added) choose(choice, product, handle);
    if (!choice.found) return false;
    if (product.bias) set(choice.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, product.bias);
    float one = 1.0f, beta = product.adds_c ? 1.0f : 0.0f;
    check_lt(lt_,
             lt_.matmul(handle, choice.desc, &one, product.weight.data, choice.weight,
                        product.x.data, choice.x, &beta, product.c.data, choice.c, product.d.data,
                        choice.d, &choice.algorithm, workspace, kLibraryWorkspace, stream),
             "cublasLtMatmul");
    return true;
  }

 private:
  template <class T>
  void set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t name, const T& value) {
    check_lt(lt_, lt_.desc_set(desc, name, &value, sizeof(value)),
             "cublasLtMatmulDescSetAttribute");
  }

  cublasLtMatrixLayout_t make_layout(const MatrixRef& matrix, int64_t rows, int64_t columns) {
    cublasLtMatrixLayout_t layout = nullptr;
    // A single column has no distance to the next; the library wants one all the same.
    int64_t pitch = std::max(matrix.pitch, rows);
    check_lt(lt_, lt_.layout_create(&layout, type_of(matrix.dtype), rows, columns, pitch),
             "cublasLtMatrixLayoutCreate");
    return layout;
  }

  void choose(Choice& choice, const Product& p, cublasLtHandle_t handle) {
    check_lt(lt_, lt_.desc_create(&choice.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F),
             "cublasLtMatmulDescCreate");
    set(choice.desc, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
    set(choice.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p));
    if (p.bias) {
      set(choice.desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type_of(p.d.dtype));
      set(choice.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
    }
    choice.weight = make_layout(p.weight, p.k, p.n);
    choice.x = make_layout(p.x, p.k, p.m);
    choice.c = make_layout(p.c, p.n, p.m);
    choice.d = make_layout(p.d, p.n, p.m);

    std::vector<cublasLtMatmulHeuristicResult_t> proposals = propose(choice, p, p.m, handle);
    choice.found = !proposals.empty();
    if (choice.found) choice.algorithm = proposals[0].algo;
    if (p.proposal > 0) choose_proposal(choice, p, handle);
  }

  void choose_proposal(Choice& choice, const Product& p, cublasLtHandle_t handle) {
    std::vector<cublasLtMatmulHeuristicResult_t> proposals =
        propose(choice, p, std::max(p.bucket_rows, p.m), handle);
    auto wanted = static_cast<size_t>(p.proposal);
    if (!choice.found || wanted >= proposals.size()) return;
    cublasLtMatmulHeuristicResult_t checked{};
    cublasStatus_t status =
        lt_.check_algorithm(handle, choice.desc, choice.weight, choice.x, choice.c, choice.d,
                            &proposals[wanted].algo, &checked);
    if (status == CUBLAS_STATUS_SUCCESS && checked.workspaceSize <= kLibraryWorkspace) {
      choice.algorithm = proposals[wanted].algo;
    }
  }

  // The library's algorithms for the product with so many rows of x, fastest first as it thinks.
  std::vector<cublasLtMatmulHeuristicResult_t> propose(const Choice& choice, const Product& p,
                                                       int rows, cublasLtHandle_t handle) {
    cublasLtMatmulPreference_t preference = nullptr;
    check_lt(lt_, lt_.preference_create(&preference), "cublasLtMatmulPreferenceCreate");
    auto prefer = [&](cublasLtMatmulPreferenceAttributes_t name, auto value) {
      check_lt(lt_, lt_.preference_set(preference, name, &value, sizeof(value)),
               "cublasLtMatmulPreferenceSetAttribute");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(kLibraryWorkspace));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
           static_cast<uint32_t>(alignment_of(p.weight)));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, static_cast<uint32_t>(alignment_of(p.x)));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, static_cast<uint32_t>(alignment_of(p.c)));
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, static_cast<uint32_t>(alignment_of(p.d)));
    // Partial sums stay f32 and are added in a fixed order.
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
           static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    cublasLtMatrixLayout_t x = choice.x, c = choice.c, d = choice.d;
    if (rows != p.m) {
      x = make_layout(p.x, p.k, rows);
      c = make_layout(p.c, p.n, rows);
      d = make_layout(p.d, p.n, rows);
    }
    std::vector<cublasLtMatmulHeuristicResult_t> found(p.proposal + 1);
    int count = 0;
    cublasStatus_t status = lt_.heuristic(handle, choice.desc, choice.weight, x, c, d, preference,
                                          static_cast<int>(found.size()), found.data(), &count);
    lt_.preference_destroy(preference);
    if (rows != p.m) {
      for (cublasLtMatrixLayout_t layout : {x, c, d}) lt_.layout_destroy(layout);
    }
    found.resize(status == CUBLAS_STATUS_SUCCESS ? count : 0);
    return found;
  }

  const CublasLt& lt_;
  std::mutex mutex_;
  std::map<int, cublasLtHandle_t> handles_;
  std::map<Product::Key, Choice> choices_;
};

Library* library(std::string& why) {
  const CublasLt* lt = cublaslt(why);
  if (!lt) return nullptr;
  // Never destroyed: at exit the driver may be gone before it.
  static Library* const only = new Library(*lt);
  return only;
}

// Whether the whole op is one product of cuBLASLt.
bool is_one_product(bool activates, const DType* bias, const DType* residual, DType y) {
  return !activates && (!bias || *bias == y) && (!residual || *residual == y);
}

// Whether the activation may follow in place.
bool activates_in_place(const LinearCall& call) {
  return call.activation != kNoActivation && !call.residual.data && call.x.dtype == DType::F16 &&
         call.y.dtype == DType::F16 && (!call.bias || call.bias_dtype == DType::F16);
}

// Whether the library knows the activation, and nothing follows it. Its result is made of f32 sums.
bool activates_in_product(const LinearCall& call) {
  return call.library_activation != LibraryActivation::None && !call.residual.data &&
         call.x.dtype != DType::F32 && call.y.dtype == call.x.dtype &&
         (!call.bias || call.bias_dtype == call.y.dtype);
}

ops::Support supports(const ops::OpDesc& desc) {
  ops::Support support = support_linear(desc);
  if (!support.ok) return support;
  if (desc.inputs[0].dtype != desc.inputs[1].dtype) {
    return ops::Support::no("x and weight are of two types");
  }
  std::string why;
  if (!library(why)) return ops::Support::no(why);
  return support;
}

int64_t workspace_bytes(const ops::OpDesc& desc) {
  return linear_workspace_bytes(linear_rows(desc), desc.inputs[1].extents[0],
                                desc.outputs[0].dtype);
}

// As many as are worth the time of tuning; a proposal that there is not is the first.
constexpr int kProposals = 8;

// "proposal 3 of 130002": the order of proposals is the library version's.
std::string variant_name(int proposal, const CublasLt& lt) {
  return "proposal " + std::to_string(proposal) + " of " + std::to_string(lt.version());
}

std::vector<std::string> variants(const ops::OpDesc&) {
  std::string why;
  std::vector<std::string> names;
  const CublasLt* lt = cublaslt(why);
  for (int i = 1; lt && i < kProposals; ++i) names.push_back(variant_name(i, *lt));
  return names;
}

int proposal_of(std::string_view variant) {
  if (variant.empty()) return 0;
  constexpr std::string_view kPrefix = "proposal ";
  return variant.size() > kPrefix.size() ? variant[kPrefix.size()] - '0' : 0;
}

// False where cuBLASLt cannot do it.
bool run_product(const LinearCall& call, Library& lt) {
  auto address = reinterpret_cast<uintptr_t>(call.workspace.data());
  auto* workspace =
      reinterpret_cast<std::byte*>(round_up(static_cast<int64_t>(address), kAlignment));
  Product product{.x = call.x,
                  .weight = call.weight,
                  .c = call.y,
                  .d = call.y,
                  .m = call.m,
                  .n = call.n,
                  .k = call.k,
                  .proposal = proposal_of(call.variant),
                  .bucket_rows = call.bucket_rows};
  // Rows of y that begin anywhere (50257 logits) make the product eight times slower; it goes into
  // rows of its own then. And with bias and residual at once it was wrong for such rows.
  bool aligned = call.y.is_aligned() && (!call.residual.data || call.residual.is_aligned()) &&
                 (!call.bias || (call.x.is_aligned() && call.weight.is_aligned()));
  if (aligned && activates_in_product(call)) {
    Product whole = product;
    whole.bias = call.bias;
    whole.activation = call.library_activation;
    if (lt.multiply(whole, workspace, call.stream)) return true;
  }
  bool in_place = activates_in_place(call);
  bool one = aligned &&
             is_one_product(call.activation != kNoActivation && !in_place,
                            call.bias ? &call.bias_dtype : nullptr,
                            call.residual.data ? &call.residual.dtype : nullptr, call.y.dtype) &&
             (call.y.dtype == call.x.dtype || call.y.dtype == DType::F32);
  if (one) {
    product.bias = call.bias;
    product.adds_c = call.residual.data != nullptr;
    if (product.adds_c) product.c = call.residual;
  } else if (call.y.dtype != DType::F32 || call.y.pitch % 8 != 0) {
    product.d = product.c = {workspace + kLibraryWorkspace, DType::F32, call.n};
  }
  if (!lt.multiply(product, workspace, call.stream)) return false;
  if (one && in_place) run_linear_activation(call);
  if (!one) run_linear_epilogue(call, static_cast<const float*>(product.d.data), product.d.pitch);
  return true;
}

// Outputs [begin, end) of a call.
LinearCall columns_of(LinearCall call, int begin, int end) {
  auto bytes = [begin](DType dtype) { return int64_t{begin} * (dtype_bits(dtype) / 8); };
  auto skip = [](void* data, int64_t count) { return static_cast<std::byte*>(data) + count; };
  call.weight.data = skip(call.weight.data, bytes(call.weight.dtype) * call.weight.pitch);
  call.y.data = skip(call.y.data, bytes(call.y.dtype));
  if (call.bias) call.bias = static_cast<const std::byte*>(call.bias) + bytes(call.bias_dtype);
  if (call.residual.data) call.residual.data = skip(call.residual.data, bytes(call.residual.dtype));
  call.n = end - begin;
  return call;
}

void run(const ops::RunArgs& args) {
  run_linear(linear_call(args));
}

}  // namespace

void run_linear(const LinearCall& call) {
  if (call.m == 0 || call.n == 0) return;
  std::string why;
  Library* lt = library(why);
  // cuBLASLt's fast kernels want a multiple of 8 outputs; the last few are made apart.
  int most = call.n / 8 * 8;
  if (!lt || call.k == 0 || most == 0 || !run_product(columns_of(call, 0, most), *lt)) {
    return run_linear_simple(call);
  }
  if (most < call.n) run_linear_simple(columns_of(call, most, call.n));
}

int64_t linear_workspace_bytes(int64_t rows, int64_t outputs, DType y) {
  int64_t sums = 0;
  if (y != DType::F32 || outputs % 8 != 0) {
    sums = checked_mul<int64_t>(checked_mul(rows, outputs, "sums"), 4, "sums");
  }
  return kLibraryWorkspace + sums + kAlignment;
}

bool has_cublaslt() {
  std::string why;
  return library(why) != nullptr;
}

const ops::Implementation kLinearCublasLt = {.name = "linear_cublaslt__any",
                                             .op = ops::Linear::kName,
                                             .supports = supports,
                                             .prepare = prepare_linear,
                                             .workspace_bytes = workspace_bytes,
                                             .run = run,
                                             .variants = variants};

}  // namespace tenon::cuda
