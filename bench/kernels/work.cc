#include "kernels/work.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/text.h"

namespace tenon::bench {
namespace {

struct Maker {
  std::string_view op;
  Work (*make)(Machine& machine, const Case& what);
};
constexpr Maker kMakers[] = {{"linear", make_linear},
                             {"quantised_linear", make_quantised_linear},
                             {"paged_attention", make_attention},
                             {"rope_kv_append", make_rope_kv_append},
                             {"rms_norm", make_rms_norm},
                             {"layer_norm", make_layer_norm},
                             {"glu", make_glu},
                             {"sample", make_sample}};

}  // namespace

TensorView Work::keep(DeviceTensor tensor) {
  memory.push_back(std::move(tensor));
  return memory.back().view();
}

Work make_work(Machine& machine, const Case& what) {
  std::vector<std::string> known;
  for (const Maker& maker : kMakers) {
    if (maker.op == what.op) return maker.make(machine, what);
    known.emplace_back(maker.op);
  }
  throw Error(ErrorCode::BadInput, "no benchmark for this op")
      .got(what.op)
      .accepted(join(known, ", "));
}

DType float_type(const Case& what, std::string_view key, std::string_view otherwise) {
  std::string name = what.text(key, otherwise);
  for (DType dtype : {DType::F32, DType::F16, DType::BF16}) {
    if (dtype_name(dtype) == name) return dtype;
  }
  throw Error(ErrorCode::BadInput, "not a type of this benchmark")
      .at(what.op)
      .at(key)
      .got(name)
      .accepted("f32, f16, bf16");
}

int64_t turns_of(const Machine& machine, int64_t bytes) {
  return std::clamp<int64_t>(machine.rotated_bytes() / std::max<int64_t>(bytes, 1) + 1, 2, 64);
}

TensorView keep_output(Work& work, Machine& machine, DType dtype, const Extents& extents) {
  return work.keep(
      DeviceTensor::random(machine, dtype, extents, 0, std::numeric_limits<float>::quiet_NaN()));
}

}  // namespace tenon::bench
