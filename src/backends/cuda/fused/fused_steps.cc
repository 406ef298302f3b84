#include "backends/cuda/fused/number.h"
#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"
#include "base/checked.h"
#include "ops/binary.h"
#include "ops/cast.h"
#include "ops/fused.h"
#include "ops/unary.h"

// A chain as its separate steps, for machines without NVRTC: the kernels of unary and binary one
// after the other, with f32 in between, as the fused kernel has it.
namespace tenon::cuda {
namespace {

using ops::Expression;

struct PreparedStep {
  const ops::Implementation* implementation = nullptr;  // null: pushes an input or a number
  std::shared_ptr<const void> prepared;
};

struct Prepared {
  Expression expression;
  std::vector<PreparedStep> steps;
  std::shared_ptr<const void> cast;  // of a lone input
};

constexpr int64_t kAlignment = 256;

int64_t slot_bytes(int64_t count) {
  return round_up(std::max<int64_t>(count, 1) * static_cast<int64_t>(sizeof(float)), kAlignment);
}

// What one step asks of its kernel; sizes do not matter to preparing.
ops::OpDesc step_desc(std::string_view op, const ops::Attributes& attributes, size_t inputs) {
  ops::TensorDesc tensor{true, DType::F32, {1}, nullptr};
  return {op, 1, &attributes, std::vector<ops::TensorDesc>(inputs, tensor), {tensor}};
}

PreparedStep prepare_step(const Expression::Step& step) {
  if (step.op == Expression::Op::Unary) {
    ops::Attributes attributes =
        ops::to_attributes(ops::Unary{std::string(ops::kUnaryKinds[step.index]), "f32"});
    return {&kUnary, kUnary.prepare(step_desc("unary", attributes, 1))};
  }
  if (step.op == Expression::Op::Binary) {
    ops::Attributes attributes =
        ops::to_attributes(ops::Binary{std::string(ops::kBinaryKinds[step.index]), "f32"});
    return {&kBinary, kBinary.prepare(step_desc("binary", attributes, 2))};
  }
  return {};
}

std::shared_ptr<const void> prepare(const ops::OpDesc& desc) {
  auto prepared = std::make_shared<Prepared>();
  prepared->expression =
      Expression::parse(ops::read_attributes<ops::Fused>(*desc.attributes).expression);
  for (const Expression::Step& step : prepared->expression.steps) {
    prepared->steps.push_back(prepare_step(step));
  }
  if (kCast.prepare) {
    ops::Attributes attributes = ops::to_attributes(ops::Cast{"f32"});
    prepared->cast = kCast.prepare(step_desc("cast", attributes, 1));
  }
  return prepared;
}

ops::Support supports(const ops::OpDesc& desc) {
  return support_floats(desc, {0, 1, 2, 3, 4, 5, 6, 7}, {0});
}

// A slot for each place of the stack, all of the output's size, and one to turn a number into.
int64_t workspace_bytes(const ops::OpDesc& desc) {
  auto op = ops::read_attributes<ops::Fused>(*desc.attributes);
  int64_t depth = Expression::parse(op.expression).depth;
  int64_t count = checked_product(desc.outputs[0].extents.span(), "fused output");
  return checked_mul(depth + 1, slot_bytes(count), "fused workspace");
}

Extents broadcast_of(const Extents& a, const Extents& b) {
  Extents result = a.rank() >= b.rank() ? a : b;
  for (int axis = 0; axis < result.rank(); ++axis) {
    auto extent = [&](const Extents& from) {
      int own = axis - (result.rank() - from.rank());
      return own >= 0 ? from[own] : 1;
    };
    result[axis] = extent(a) == 1 ? extent(b) : extent(a);
  }
  return result;
}

class StackRun {
 public:
  StackRun(const ops::RunArgs& args, const Prepared& prepared)
      : args_(args), prepared_(prepared), stream_(stream_of(args)) {
    slot_ = slot_bytes(args.outputs[0].count());
  }

  void run() {
    const auto& steps = prepared_.expression.steps;
    for (size_t i = 0; i < steps.size(); ++i) run_step(steps[i], prepared_.steps[i], last(i));
    const TensorView& y = args_.outputs[0];
    // The last kernel wrote y, unless it was an input alone or all operands were smaller than y.
    if (stack_[0].data == y.data) return;
    call(kCast, prepared_.cast.get(), {stack_[0]}, y);
  }

 private:
  bool last(size_t step) const { return step + 1 == prepared_.steps.size(); }

  TensorView slot(size_t place, const Extents& extents) const {
    std::byte* data = args_.workspace.data() + static_cast<int64_t>(place) * slot_;
    return {data, DType::F32, extents};
  }

  void run_step(const Expression::Step& step, const PreparedStep& prepared, bool is_last) {
    if (step.op == Expression::Op::Input) {
      stack_.push_back(args_.inputs[step.index]);
      return;
    }
    if (step.op == Expression::Op::Number) {
      stack_.push_back(slot(stack_.size(), {1}));
      set_number(stack_.back().as<float>(), static_cast<float>(step.number), stream_);
      return;
    }
    std::vector<TensorView> operands = {stack_.back()};
    stack_.pop_back();
    if (step.op == Expression::Op::Binary) {
      operands.insert(operands.begin(), stack_.back());
      stack_.pop_back();
    }
    Extents extents = operands[0].extents;
    if (operands.size() == 2) extents = broadcast_of(extents, operands[1].extents);
    // Elementwise, so that a slot may be read and written by one kernel; except where what it holds
    // is repeated: that moves to the spare slot first.
    TensorView result = slot(stack_.size(), extents);
    if (is_last && extents == args_.outputs[0].extents) result = args_.outputs[0];
    bool repeats = operands[0].data == result.data && !(operands[0].extents == extents);
    if (repeats) {
      TensorView spare = slot(prepared_.expression.depth, operands[0].extents);
      call(kCast, prepared_.cast.get(), {operands[0]}, spare);
      operands[0] = spare;
    }
    call(*prepared.implementation, prepared.prepared.get(), operands, result);
    stack_.push_back(result);
  }

  void call(const ops::Implementation& implementation, const void* prepared,
            const std::vector<TensorView>& inputs, const TensorView& output) const {
    implementation.run({.inputs = inputs,
                        .outputs = {&output, 1},
                        .prepared = prepared,
                        .workspace = {},
                        .stream = args_.stream});
  }

  const ops::RunArgs& args_;
  const Prepared& prepared_;
  cudaStream_t stream_;
  int64_t slot_ = 0;
  std::vector<TensorView> stack_;
};

void run(const ops::RunArgs& args) {
  if (args.outputs[0].count() == 0) return;
  StackRun(args, *static_cast<const Prepared*>(args.prepared)).run();
}

}  // namespace

const ops::Implementation kFusedSteps = {.name = "fused_steps__any__sm80",
                                         .op = ops::Fused::kName,
                                         .supports = supports,
                                         .prepare = prepare,
                                         .workspace_bytes = workspace_bytes,
                                         .run = run};

}  // namespace tenon::cuda
