#include "backends/cpu/kernels/moves.h"

#include <cstring>

#include "backends/cpu/impl_list.h"
#include "backends/cpu/kernels/ranges.h"
#include "backends/cpu/kernels/row_access.h"
#include "base/error.h"
#include "ops/concat.h"
#include "ops/pad.h"
#include "ops/reshape.h"
#include "ops/transpose.h"

namespace tenon::cpu {
namespace {

constexpr int64_t kBytesOfRange = 1 << 18;  // enough for another thread to be worth waking

// Axes that lie behind each other in both views are one: fewer and longer runs.
struct Walk {
  int rank = 0;
  int64_t extents[kMaxRank], from[kMaxRank], to[kMaxRank];  // strides in bytes

  Walk(const TensorView& a, const TensorView& b, int64_t bytes) {
    for (int i = 0; i < a.rank(); ++i) {
      if (a.extents[i] == 1) continue;
      int64_t step_a = a.strides[i] * bytes, step_b = b.strides[i] * bytes;
      bool joins = rank > 0 && from[rank - 1] == step_a * a.extents[i] &&
                   to[rank - 1] == step_b * a.extents[i];
      if (joins) {
        extents[rank - 1] *= a.extents[i];
        from[rank - 1] = step_a, to[rank - 1] = step_b;
        continue;
      }
      extents[rank] = a.extents[i], from[rank] = step_a, to[rank] = step_b;
      ++rank;
    }
  }
};

template <int64_t bytes>
void copy_steps(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step,
                int64_t count) {
  for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * to_step, from + i * from_step, bytes);
}

void copy_run(const std::byte* from, int64_t from_step, std::byte* to, int64_t to_step,
              int64_t count, int64_t bytes) {
  if (from_step == bytes && to_step == bytes) {
    std::memcpy(to, from, static_cast<size_t>(count * bytes));
  } else if (bytes == 16) {
    copy_steps<16>(from, from_step, to, to_step, count);
  } else if (bytes == 8) {
    copy_steps<8>(from, from_step, to, to_step, count);
  } else if (bytes == 4) {
    copy_steps<4>(from, from_step, to, to_step, count);
  } else if (bytes == 2) {
    copy_steps<2>(from, from_step, to, to_step, count);
  } else {
    for (int64_t i = 0; i < count; ++i)
      std::memcpy(to + i * to_step, from + i * from_step, static_cast<size_t>(bytes));
  }
}

}  // namespace

ops::Support support_moves(const ops::OpDesc& desc) {
  for (const ops::TensorDesc& input : desc.inputs) {
    if (input.quant) return ops::Support::no("x is quantised");
    if (dtype_bits(input.dtype) % 8 != 0 || dtype_bits(input.dtype) == 0)
      return ops::Support::no("elements are not whole bytes");
  }
  return ops::Support::yes();
}

void copy_elements(const TensorView& from, const TensorView& to) {
  TENON_CHECK(from.dtype == to.dtype && from.extents == to.extents);
  int64_t bytes = dtype_bits(from.dtype) / 8;
  if (from.count() == 0) return;
  Walk walk(from, to, bytes);
  const auto* source = from.as<const std::byte>();
  auto* target = to.as<std::byte>();
  int inner = walk.rank - 1;
  if (inner < 0) return copy_run(source, bytes, target, bytes, 1, bytes);
  // A few neighbours are one wide element, and the axis before them makes the runs.
  constexpr int64_t kWidest = 16;
  if (inner > 0 && walk.from[inner] == bytes && walk.to[inner] == bytes &&
      bytes * walk.extents[inner] <= kWidest) {
    bytes *= walk.extents[inner--];
  }
  int64_t run = walk.extents[inner], runs = 1;
  for (int i = 0; i < inner; ++i) runs *= walk.extents[i];
  // One long run is cut into pieces, so that threads share it.
  if (runs == 1 && walk.from[inner] == bytes && walk.to[inner] == bytes) {
    for_ranges(run, kBytesOfRange / bytes, [&](int, int64_t begin, int64_t end) {
      std::memcpy(target + begin * bytes, source + begin * bytes,
                  static_cast<size_t>((end - begin) * bytes));
    });
    return;
  }
  int64_t grain = std::max<int64_t>(1, kBytesOfRange / std::max<int64_t>(1, run * bytes));
  for_ranges(runs, grain, [&](int, int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const std::byte* read = source;
      std::byte* write = target;
      for (int64_t i = inner - 1, rest = index; i >= 0; rest /= walk.extents[i--]) {
        read += rest % walk.extents[i] * walk.from[i];
        write += rest % walk.extents[i] * walk.to[i];
      }
      copy_run(read, walk.from[inner], write, walk.to[inner], run, bytes);
    }
  });
}

namespace {

// Rows of either may lie apart: pieces go over that are whole in both.
void reshape(const ops::RunArgs& args) {
  const TensorView &x = args.inputs[0], &y = args.outputs[0];
  if (x.is_contiguous()) return copy_elements(x.reshaped(y.extents), y);
  if (y.is_contiguous()) return copy_elements(x, y.reshaped(x.extents));
  RowAccess from(x), to(y);
  int64_t bytes = from.element_bytes(), count = x.count();
  for (int64_t at = 0; at < count;) {
    int64_t column = at % from.columns(), other = at % to.columns();
    int64_t n = std::min(from.columns() - column, to.columns() - other);
    std::memcpy(to.at(at / to.columns(), other), from.at(at / from.columns(), column),
                static_cast<size_t>(n * bytes));
    at += n;
  }
}

void transpose(const ops::RunArgs& args) {
  const auto& op = ops::attributes_of<ops::Transpose>(args);
  copy_elements(args.inputs[0].permuted(op.permutation), args.outputs[0]);
}

// `part` seen with the extents of its place: axes of extent 1 repeat.
TensorView repeated(TensorView part, const TensorView& place) {
  for (int i = 0; i < part.rank(); ++i) {
    if (part.extents[i] == place.extents[i]) continue;
    TENON_CHECK(part.extents[i] == 1);
    part.extents[i] = place.extents[i];
    part.strides[i] = 0;
  }
  return part;
}

void concat(const ops::RunArgs& args) {
  auto axis = static_cast<int>(ops::attributes_of<ops::Concat>(args).axis);
  int64_t begin = 0;
  for (const TensorView& part : args.inputs) {
    TensorView place = args.outputs[0].slice(axis, begin, begin + part.extents[axis]);
    copy_elements(repeated(part, place), place);
    begin += part.extents[axis];
  }
}

// Only zeros: other values would need to know what the bytes mean.
ops::Support supports_pad(const ops::OpDesc& desc) {
  auto op = ops::read_attributes<ops::Pad>(*desc.attributes);
  return op.value == 0 ? support_moves(desc) : ops::Support::no("pads with another value than 0");
}

void pad(const ops::RunArgs& args) {
  const auto& op = ops::attributes_of<ops::Pad>(args);
  const TensorView& x = args.inputs[0];
  TensorView place = args.outputs[0];
  RowAccess whole(place);
  int64_t bytes = whole.columns() * whole.element_bytes();
  for_ranges(whole.count(), std::max<int64_t>(1, kBytesOfRange / std::max<int64_t>(1, bytes)),
             [&](int, int64_t begin, int64_t end) {
               for (int64_t row = begin; row < end; ++row)
                 std::memset(whole.at(row, 0), 0, static_cast<size_t>(bytes));
             });
  for (int i = 0; i < x.rank(); ++i)
    place = place.slice(i, op.before[i], op.before[i] + x.extents[i]);
  copy_elements(x, place);
}

template <class Op>
constexpr ops::Implementation implementation(std::string_view name,
                                             void (*run)(const ops::RunArgs& args)) {
  return {.name = name,
          .op = Op::kName,
          .supports = support_moves,
          .prepare = ops::prepare_attributes<Op>,
          .run = run};
}

}  // namespace

const ops::Implementation kReshape = implementation<ops::Reshape>("reshape__any__cpu", reshape);
const ops::Implementation kTranspose =
    implementation<ops::Transpose>("transpose__any__cpu", transpose);
const ops::Implementation kConcat = implementation<ops::Concat>("concat__any__cpu", concat);
const ops::Implementation kPad = {.name = "pad__zero__cpu",
                                  .op = ops::Pad::kName,
                                  .supports = supports_pad,
                                  .prepare = ops::prepare_attributes<ops::Pad>,
                                  .run = pad};

}  // namespace tenon::cpu
