#include "conformance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "backends/reference/impl_list.h"
#include "cuda_backend.h"
#include "device/device.h"
#include "ops/op_list.h"
#ifdef TENON_HAS_CPU_BACKEND
#include "backends/cpu/impl_list.h"
#endif

namespace tenon::conformance {
namespace {

using Problems = std::vector<std::string>;

// The types of the outputs by the op's own shape rule, for actual extents or for the bucket's.
std::vector<ValueType> infer_outputs(std::string_view op, const Case& test_case, bool bucket) {
  std::vector<ValueType> types;
  std::vector<const ValueType*> pointers;
  for (const Operand& input : test_case.inputs) {
    types.push_back({input.view.dtype, to_shape(bucket ? input.bucket : input.view.extents), {}});
  }
  for (size_t i = 0; i < types.size(); ++i) {
    pointers.push_back(test_case.inputs[i].present ? &types[i] : nullptr);
  }
  ops::InferContext context(test_case.attributes, pointers, {}, test_case.output_count);
  ops::builtin_catalogue().at(op).infer(context);
  return context.outputs();
}

const ops::Implementation& reference_of(std::string_view op) {
  for (const ops::Implementation* candidate : reference::implementations()) {
    if (candidate->op == op) return *candidate;
  }
  throw Error(ErrorCode::Internal, "op without a reference").got(op);
}

std::shared_ptr<const void> prepare(const ops::Implementation& implementation,
                                    const ops::OpDesc& desc) {
  return implementation.prepare ? implementation.prepare(desc) : nullptr;
}

Tensor make_f64(const TensorView& from) {
  Tensor result = Tensor::make(DType::F64, from.extents);
  std::vector<double> values = values_of(from);
  std::copy(values.begin(), values.end(), result.as<double>());
  return result;
}

// Everything one call touches.
struct Call {
  std::vector<GuardedBuffer> outputs;
  std::vector<TensorView> output_views;
  std::vector<GuardedBuffer> states;
  std::vector<TensorView> input_views;
  GuardedBuffer workspace{0, GuardedBuffer::kWriteGuard, GuardedBuffer::kNanByte};
};

Call make_call(const ops::Implementation& implementation, const Suite& suite, const Case& test_case,
               const ops::OpDesc& desc, std::byte poison) {
  Call call;
  for (const ValueType& type : infer_outputs(suite.op, test_case, false)) {
    Extents extents = evaluate(type.shape, {});
    int64_t bytes = dtype_bytes(type.dtype, extents.count());
    call.outputs.emplace_back(bytes, GuardedBuffer::kWriteGuard, poison);
    call.output_views.emplace_back(call.outputs.back().data(), type.dtype, extents);
  }
  for (const Operand& input : test_case.inputs) {
    call.input_views.push_back(input.view);
    if (!input.state) continue;
    call.states.push_back(input.buffer.copy());
    call.input_views.back().data = call.states.back().data();
  }
  int64_t bytes = implementation.workspace_bytes ? implementation.workspace_bytes(desc) : 0;
  call.workspace = GuardedBuffer(bytes, GuardedBuffer::kWriteGuard, poison);
  return call;
}

Problems guard_problems(const Call& call) {
  Problems problems;
  for (size_t i = 0; i < call.outputs.size(); ++i) {
    if (!call.outputs[i].guards_intact()) {
      problems.push_back("wrote outside output " + std::to_string(i));
    }
  }
  for (const GuardedBuffer& state : call.states) {
    if (!state.guards_intact()) problems.push_back("wrote outside the state");
  }
  if (!call.workspace.guards_intact()) problems.push_back("wrote outside the workspace");
  return problems;
}

Comparison compare_results(const Suite& suite, const Case& test_case, const Exact& exact,
                           const Call& call) {
  if (suite.check) return {suite.check(test_case, call.output_views), 0};
  Comparison all;
  Bounds bounds = suite.bounds(test_case, exact);
  for (size_t i = 0; i < exact.outputs.size(); ++i) {
    all.add(
        compare("output " + std::to_string(i), call.output_views[i], exact.outputs[i], bounds[i]));
  }
  if (exact.state_index >= 0) {
    all.add(compare_state(test_case.inputs[exact.state_index].view,
                          call.input_views[exact.state_index], exact.state_before,
                          exact.state_after, bounds.back()));
  }
  return all;
}

bool same_results(const Call& a, const Call& b) {
  for (size_t i = 0; i < a.outputs.size(); ++i) {
    if (!a.outputs[i].same_bytes(b.outputs[i])) return false;
  }
  for (size_t i = 0; i < a.states.size(); ++i) {
    if (!a.states[i].same_bytes(b.states[i])) return false;
  }
  return true;
}

enum class Launch { Direct, Recorded };

// On the GPU, over copies of all buffers; then everything is copied back, so that the same checks
// follow. A recorded launch shows that a plan's stage may be replayed.
Problems run_on_device(const ops::Implementation& implementation, const Case& test_case, Call& call,
                       const void* prepared, Launch launch) {
  DeviceImages images;
  std::vector<GuardedBuffer> inputs;
  for (const Operand& input : test_case.inputs) inputs.push_back(input.buffer.copy());
  std::vector<TensorView> input_views, output_views;
  size_t state = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Operand& input = test_case.inputs[i];
    if (!input.present) {
      input_views.emplace_back();
      continue;
    }
    TensorView view = call.input_views[i];
    GuardedBuffer& buffer = input.state ? call.states[state++] : inputs[i];
    const auto* start = input.state ? buffer.data() : input.buffer.data();
    view.data = buffer.data() + (static_cast<const std::byte*>(view.data) - start);
    input_views.push_back(images.place(buffer, view));
  }
  for (size_t i = 0; i < call.outputs.size(); ++i) {
    output_views.push_back(images.place(call.outputs[i], call.output_views[i]));
  }
  std::span<std::byte> workspace = {images.place(call.workspace), call.workspace.payload().size()};
  auto run = [&] {
    implementation.run({.inputs = input_views,
                        .outputs = output_views,
                        .prepared = prepared,
                        .workspace = workspace,
                        .stream = &images.stream()});
  };
  if (launch == Launch::Recorded) {
    std::unique_ptr<device::Graph> graph = cuda_backend().device->record(images.stream(), run);
    graph->launch(images.stream());
    images.stream().synchronize();
  } else {
    run();
  }
  images.bring_back();
  Problems problems;
  for (size_t i = 0; i < inputs.size(); ++i) {
    bool is_state = test_case.inputs[i].state;
    if (!is_state && !inputs[i].same_bytes(test_case.inputs[i].buffer)) {
      problems.push_back("changed input " + std::to_string(i));
    }
    if (!inputs[i].guards_intact()) {
      problems.push_back("wrote outside input " + std::to_string(i));
    }
  }
  return problems;
}

Problems run_call(const ops::Implementation& implementation, const Case& test_case, Call& call,
                  const void* prepared, Launch launch) {
  if (cuda_backend().runs_on_device(implementation)) {
    return run_on_device(implementation, test_case, call, prepared, launch);
  }
  implementation.run({.inputs = call.input_views,
                      .outputs = call.output_views,
                      .prepared = prepared,
                      .workspace = call.workspace.payload(),
                      .stream = nullptr});
  return {};
}

void print_skips(std::string_view name,
                 const std::map<std::string, std::vector<std::string>>& skips) {
  for (const auto& [reason, cases] : skips) {
    std::string names;
    for (size_t i = 0; i < cases.size() && i < 4; ++i) names += (i ? ", " : "") + cases[i];
    if (cases.size() > 4) names += ", and " + std::to_string(cases.size() - 4) + " more";
    std::printf("skip %.*s %s: %s\n", static_cast<int>(name.size()), name.data(), names.c_str(),
                reason.c_str());
  }
}

}  // namespace

ops::OpDesc describe(std::string_view op, const Case& test_case) {
  ops::OpDesc desc;
  desc.op = op;
  desc.attributes = &test_case.attributes;
  for (const Operand& input : test_case.inputs) {
    desc.inputs.push_back({input.present, input.view.dtype, input.bucket, nullptr});
  }
  for (const ValueType& type : infer_outputs(op, test_case, true)) {
    desc.outputs.push_back({true, type.dtype, evaluate(type.shape, {}), nullptr});
  }
  return desc;
}

Exact compute_exact(std::string_view op, const Case& test_case) {
  const ops::Implementation& reference = reference_of(op);
  Exact exact;
  std::vector<TensorView> inputs, outputs;
  for (size_t i = 0; i < test_case.inputs.size(); ++i) {
    const Operand& input = test_case.inputs[i];
    inputs.push_back(input.view);
    if (!input.state) continue;
    TENON_CHECK(exact.state_index < 0);
    exact.state_index = static_cast<int>(i);
    exact.state_before = make_f64(input.view);
    exact.state_after = make_f64(input.view);
    inputs.back() = exact.state_after;
  }
  for (const ValueType& type : infer_outputs(op, test_case, false)) {
    DType dtype = is_float(type.dtype) ? DType::F64 : type.dtype;
    exact.outputs.push_back(Tensor::make(dtype, evaluate(type.shape, {})));
    outputs.push_back(exact.outputs.back());
  }
  ops::OpDesc desc = describe(op, test_case);
  std::shared_ptr<const void> prepared = prepare(reference, desc);
  reference.run({.inputs = inputs,
                 .outputs = outputs,
                 .prepared = prepared.get(),
                 .workspace = {},
                 .stream = nullptr});
  return exact;
}

Bounds zero_bounds(const Case&, const Exact& exact) {
  Bounds bounds;
  for (const Tensor& output : exact.outputs) bounds.emplace_back(output.count(), 0.0);
  if (exact.state_index >= 0) bounds.emplace_back(exact.state_after.count(), 0.0);
  return bounds;
}

Comparison run_case(const ops::Implementation& implementation, const Suite& suite,
                    const Case& test_case, const Exact& exact) {
  ops::OpDesc desc = describe(suite.op, test_case);
  std::vector<GuardedBuffer> inputs_before;
  for (const Operand& input : test_case.inputs) inputs_before.push_back(input.buffer.copy());
  try {
    std::shared_ptr<const void> prepared = prepare(implementation, desc);
    Call call = make_call(implementation, suite, test_case, desc, GuardedBuffer::kNanByte);
    Comparison result{run_call(implementation, test_case, call, prepared.get(), Launch::Direct), 0};
    result.add({guard_problems(call), 0});
    for (size_t i = 0; i < inputs_before.size(); ++i) {
      const GuardedBuffer& now = test_case.inputs[i].buffer;
      if (!now.same_bytes(inputs_before[i]) || !now.guards_intact()) {
        result.problems.push_back("changed input " + std::to_string(i));
      }
    }
    result.add(compare_results(suite, test_case, exact, call));

    Call again = make_call(implementation, suite, test_case, desc, std::byte{0x55});
    result.add({run_call(implementation, test_case, again, prepared.get(), Launch::Recorded), 0});
    if (!same_results(call, again)) {
      result.problems.push_back("a second run gives other bits");
    }
    return result;
  } catch (const Error& error) {
    return {{std::string("threw ") + error.what()}, 0};
  }
}

// TENON_CONFORMANCE_SHARD=2/16: every 16th case, beginning with the third. Unlike GoogleTest's
// shards, of whole suites, all take about as long.
bool in_shard(size_t index) {
  const char* shard = std::getenv("TENON_CONFORMANCE_SHARD");
  unsigned wanted = 0, shards = 1;
  if (!shard) return true;
  if (std::sscanf(shard, "%u/%u", &wanted, &shards) != 2 || wanted >= shards) {
    throw Error(ErrorCode::Usage, "TENON_CONFORMANCE_SHARD").got(shard).accepted("0/16 to 15/16");
  }
  return index % shards == wanted;
}

// TENON_CONFORMANCE_MOST_ELEMENTS: cases whose inputs hold more are left out, and counted. A tool
// that follows every access to shared memory takes minutes for them and sees nothing new: a race is
// one of threads of a block, and the small cases have every branch.
bool is_small_enough(const Case& test_case) {
  const char* most = std::getenv("TENON_CONFORMANCE_MOST_ELEMENTS");
  if (!most) return true;
  int64_t count = 0;
  for (const Operand& input : test_case.inputs) count += input.present ? input.view.count() : 0;
  return count <= std::atoll(most);
}

// The cases of a suite that this process runs.
std::vector<size_t> chosen_cases(const Suite& suite) {
  std::vector<size_t> chosen;
  size_t large = 0;
  for (size_t i = 0; i < suite.cases.size(); ++i) {
    if (!in_shard(i)) continue;
    if (is_small_enough(suite.cases[i])) {
      chosen.push_back(i);
    } else {
      ++large;
    }
  }
  if (large > 0) {
    std::printf("skip %zu cases of %s: too large for this run\n", large,
                std::string(suite.op).c_str());
  }
  return chosen;
}

void run_suite(const Suite& suite) {
  std::vector<size_t> chosen = chosen_cases(suite);
  std::vector<Exact> exacts(suite.cases.size());
  for (size_t i : chosen) exacts[i] = compute_exact(suite.op, suite.cases[i]);
  for (const ops::Implementation* implementation : all_implementations()) {
    if (implementation->op != suite.op) continue;
    Count& count = counts()[std::string(implementation->name)];
    count.op = suite.op;
    std::map<std::string, std::vector<std::string>> skips;
    auto begun = std::chrono::steady_clock::now();
    for (size_t i : chosen) {
      const Case& test_case = suite.cases[i];
      ops::Support support = implementation->supports(describe(suite.op, test_case));
      if (!support.ok) {
        skips[support.reason].push_back(test_case.name);
        ++count.skipped;
        bool forbidden = support.reason.find("TENON_CPU_ISA") != std::string::npos;
        if (!forbidden && support.reason.find(kMissingHardware) == std::string::npos) {
          count.only_missing_hardware = false;
        }
        continue;
      }
      ++count.run;
      Comparison result = run_case(*implementation, suite, test_case, exacts[i]);
      for (const std::string& problem : result.problems) {
        ADD_FAILURE() << implementation->name << " on " << test_case.name << ": " << problem;
      }
      if (result.problems.empty()) ++count.passed;
      count.cases.push_back({test_case.name, result.problems.empty(), result.worst_share});
      count.worst_share = std::max(count.worst_share, result.worst_share);
    }
    print_skips(implementation->name, skips);
    if (std::getenv("TENON_CONFORMANCE_SHARD")) {
      // Under a sanitizer, which may be stopped: what took the time.
      std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begun;
      std::printf("%s: %.1f s\n", std::string(implementation->name).c_str(), taken.count());
      std::fflush(stdout);
    }
  }
}

bool gpu_only() {
  const char* wanted = std::getenv("TENON_CONFORMANCE");
  return wanted && std::string_view(wanted) == "cuda";
}

// TENON_CONFORMANCE_WITHOUT: names that are left out, in blanks.
bool left_out(std::string_view name) {
  const char* without = std::getenv("TENON_CONFORMANCE_WITHOUT");
  return without && (" " + std::string(without) + " ").find(" " + std::string(name) + " ") !=
                        std::string::npos;
}

std::vector<const ops::Implementation*> all_implementations() {
  std::vector<const ops::Implementation*> all;
  if (cuda_backend().device) {
    for (const ops::Implementation* implementation : cuda_backend().implementations) {
      if (!left_out(implementation->name)) all.push_back(implementation);
    }
  }
  if (gpu_only()) return all;
#ifdef TENON_HAS_CPU_BACKEND
  for (const ops::Implementation* implementation : cpu::implementations())
    all.push_back(implementation);
#endif
  for (const ops::Implementation* implementation : reference::implementations()) {
    all.push_back(implementation);
  }
  return all;
}

std::map<std::string, Count>& counts() {
  static std::map<std::string, Count> map;
  return map;
}

}  // namespace tenon::conformance
