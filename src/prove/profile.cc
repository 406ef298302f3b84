#include "prove/profile.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>

#include "base/error.h"
#include "compiler/decoder_batch.h"
#include "pipelines/llm/model_info.h"
#include "plan/plan_file.h"
#include "runtime/session.h"
#include "runtime/step_signature.h"

namespace tenon::prove {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

double median(std::vector<double> values) {
  auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

compiler::DecoderBatch inputs_of(const Batch& batch, const llm::ModelInfo& model) {
  std::vector<std::vector<int32_t>> tokens(static_cast<size_t>(batch.seqs));
  for (size_t seq = 0; seq < tokens.size(); ++seq) {
    for (int64_t i = 0; i < batch.context; ++i) {
      auto id = static_cast<int64_t>(seq) * 7919 + i * 104729;
      tokens[seq].push_back(static_cast<int32_t>(id % model.vocabulary));
    }
  }
  compiler::DecoderShape shape{
      .seqs = batch.seqs, .tokens_each = batch.tokens_each, .context = batch.context};
  return {shape, model.hidden, tokens, batch.context - batch.tokens_each,
          llm::StepPart::Rows::Last};
}

// One phase on one runner.
class PhaseRun {
 public:
  PhaseRun(runtime::StageRunner& runner, const llm::ModelInfo& model, const Batch& batch,
           int repeats)
      : runner_(runner),
        repeats_(repeats),
        shape_{.seqs = batch.seqs, .tokens_each = batch.tokens_each, .context = batch.context},
        inputs_(inputs_of(batch, model)) {
    runner_.allocate_states(compiler::cache_symbols(shape_));
    // The second run of a size records it where the device can; from then on it is replayed.
    for (int i = 0; i < 3; ++i) run();
  }

  double whole() {
    std::vector<double> seconds;
    for (int i = 0; i < repeats_; ++i) {
      Clock::time_point begin = Clock::now();
      run();
      seconds.push_back(seconds_between(begin, Clock::now()));
    }
    return median(seconds);
  }

  // Of each step, where it runs.
  std::vector<double> in_place() {
    std::vector<std::vector<double>> times(runner_.stage().steps.size());
    Clock::time_point last;
    runner_.set_observer([&](size_t step, std::span<const TensorView>) {
      Clock::time_point now = Clock::now();
      times[step].push_back(seconds_between(last, now));
      last = Clock::now();
      return false;
    });
    for (int i = 0; i < repeats_; ++i) {
      last = Clock::now();
      run();
    }
    runner_.set_observer({});
    std::vector<double> seconds;
    for (const auto& list : times) seconds.push_back(median(list));
    return seconds;
  }

  // Of each step, as the mean of the steps of its size and implementation.
  std::vector<double> by_size() {
    const plan::Stage& stage = runner_.stage();
    SymbolValues symbols = compiler::symbols_of(shape_), bounds = runner_.bounds_of(symbols);
    std::vector<runtime::StepChoice> choices = runner_.choices(symbols);
    std::map<std::string, std::vector<size_t>> groups;
    for (size_t i = 0; i < stage.steps.size(); ++i) {
      std::string signature = runtime::step_signature(
          stage, stage.steps[i], runtime::describe_step(stage, stage.steps[i], bounds));
      groups[signature + choices[i].implementation + choices[i].variant].push_back(i);
    }
    std::vector<double> seconds(stage.steps.size());
    for (const auto& [signature, steps] : groups) {
      double all = runner_.time_steps(steps, candidate_of(choices[steps[0]]), repeats_,
                                      std::numeric_limits<double>::infinity());
      for (size_t step : steps) seconds[step] = all / static_cast<double>(steps.size());
    }
    return seconds;
  }

  std::vector<runtime::StepChoice> choices() {
    return runner_.choices(compiler::symbols_of(shape_));
  }

 private:
  void run() { runner_.to_host(runner_.run(inputs_.views())[0]); }

  runtime::Candidate candidate_of(const runtime::StepChoice& choice) const {
    for (const runtime::Backend& backend : runner_.backends()) {
      if (backend.device != choice.device) continue;
      for (const ops::Implementation* implementation : backend.implementations) {
        if (implementation->name == choice.implementation && implementation->op == choice.op)
          return {implementation, choice.variant, choice.device};
      }
    }
    throw Error(ErrorCode::Internal, "a bound implementation is in no list")
        .got(choice.implementation);
  }

  runtime::StageRunner& runner_;
  int repeats_;
  compiler::DecoderShape shape_;
  compiler::DecoderBatch inputs_;
};

PhaseProfile profile_phase(const std::string& name, runtime::StageRunner& runner,
                           const llm::ModelInfo& model, const Batch& batch, int repeats,
                           const Ceilings& ceilings) {
  PhaseProfile phase{.name = name, .batch = batch};
  PhaseRun run(runner, model, batch, repeats);
  phase.run_seconds = run.whole();
  std::vector<double> seconds = runner.is_host() ? run.in_place() : run.by_size();
  std::vector<runtime::StepChoice> choices = run.choices();
  const plan::Stage& stage = runner.stage();
  SymbolValues symbols = compiler::symbols_of(
      {.seqs = batch.seqs, .tokens_each = batch.tokens_each, .context = batch.context});
  std::vector<StepCost> costs = step_costs(stage, symbols, batch);
  for (size_t i = 0; i < stage.steps.size(); ++i) {
    const plan::Step& step = stage.steps[i];
    ProfiledStep entry{.step = i, .op = step.op, .module = step.module};
    if (!step.outputs.empty() && !stage.values[step.outputs[0]].names.empty())
      entry.name = stage.values[step.outputs[0]].names[0];
    entry.implementation = choices[i].implementation;
    entry.device = choices[i].device;
    entry.seconds = seconds[i];
    entry.cost = costs[i];
    entry.least_seconds = costs[i].least_seconds(ceilings);
    phase.seconds += seconds[i];
    phase.steps.push_back(std::move(entry));
  }
  return phase;
}

void add(ProfileGroup& group, const ProfiledStep& step) {
  ++group.steps;
  group.seconds += step.seconds;
  group.bytes += step.cost.bytes;
  group.flops += step.cost.flops;
  group.least_seconds += step.least_seconds;
}

template <class NameOf>
std::vector<ProfileGroup> group(const PhaseProfile& phase, NameOf name_of) {
  std::vector<ProfileGroup> groups;
  std::map<std::string, size_t> places;
  for (const ProfiledStep& step : phase.steps) {
    std::string name = name_of(step);
    auto [place, fresh] = places.emplace(name, groups.size());
    if (fresh) groups.push_back({.name = name});
    add(groups[place->second], step);
  }
  return groups;
}

// "model.layers.3" of "model.layers.3.mlp.down_proj"; a module without a number is its own layer.
std::string layer_of(const ProfiledStep& step) {
  const std::string& path = step.module.empty() ? step.name : step.module;
  for (size_t begin = 0; begin < path.size();) {
    size_t end = std::min(path.find('.', begin), path.size());
    bool number = end > begin && std::all_of(path.begin() + static_cast<std::ptrdiff_t>(begin),
                                             path.begin() + static_cast<std::ptrdiff_t>(end),
                                             [](char c) { return c >= '0' && c <= '9'; });
    if (number) return path.substr(0, end);
    begin = end + 1;
  }
  return path.empty() ? step.op : path;
}

int64_t room_for(int64_t wanted, int64_t usual, const llm::ModelInfo& model) {
  return wanted > 0 ? wanted : std::min(usual, model.max_seq_len);
}

}  // namespace

Profile profile(const ProfileOptions& options, Progress& progress) {
  Profile result;
  auto file = plan::PlanFile::open(options.plan);
  llm::ModelInfo model = llm::read_model_info(file->plan());
  int64_t prompt = room_for(options.prompt_tokens, 128, model);
  int64_t context = room_for(options.context, 256, model);
  if (std::max(prompt, context) > model.max_seq_len || options.batch > model.max_batch_size) {
    throw Error(ErrorCode::Usage, "the plan has no room for this")
        .got("batch " + std::to_string(options.batch) + ", " +
             std::to_string(std::max(prompt, context)) + " positions")
        .accepted("up to " + std::to_string(model.max_batch_size) + " and " +
                  std::to_string(model.max_seq_len));
  }
  result.model = file->plan().name;
  result.dtype = file->plan().precision.get_string("dtype", "?");
  auto session = runtime::Session::open(file, {.devices = {options.device}});
  result.device = session->device().description();
  runtime::StageRunner& runner = session->stage("decoder");
  result.how = runner.is_host() ? "each step where it runs, median of the repeats"
                                : "steps of equal size together, as a recorded graph";
  progress.begin("measuring", 3);
  result.ceilings =
      measure_ceilings(options.device, dtype_from_name(result.dtype).value_or(DType::F32),
                       multiplies_codes(runner.stage()));
  progress.advance(1);
  if (options.prompt_phase) {
    Batch batch{.seqs = options.batch, .tokens_each = prompt, .context = prompt};
    result.phases.push_back(
        profile_phase("prompt", runner, model, batch, options.repeats, result.ceilings));
  }
  progress.advance(2);
  if (options.token_phase) {
    Batch batch{.seqs = options.batch, .tokens_each = 1, .context = context};
    result.phases.push_back(
        profile_phase("token", runner, model, batch, options.repeats, result.ceilings));
  }
  progress.end();
  return result;
}

std::vector<ProfileGroup> group_by_kind(const PhaseProfile& phase) {
  auto groups = group(phase, [](const ProfiledStep& step) { return step.op; });
  std::stable_sort(groups.begin(), groups.end(), [](const ProfileGroup& a, const ProfileGroup& b) {
    return a.seconds > b.seconds;
  });
  return groups;
}

std::vector<ProfileGroup> group_by_layer(const PhaseProfile& phase) {
  return group(phase, layer_of);
}

std::vector<Forecast> forecast(const PhaseProfile& phase) {
  std::vector<Forecast> list;
  for (const ProfileGroup& kind : group_by_kind(phase)) {
    double whole = std::max(phase.seconds, 1e-12), now = std::max(kind.seconds, 1e-12);
    list.push_back({.kind = kind.name,
                    .share = kind.seconds / whole,
                    .best_gain = std::max(kind.seconds - kind.least_seconds, 0.0) / whole,
                    .of_roofline = kind.least_seconds / now});
  }
  std::stable_sort(list.begin(), list.end(),
                   [](const Forecast& a, const Forecast& b) { return a.best_gain > b.best_gain; });
  return list;
}

}  // namespace tenon::prove
