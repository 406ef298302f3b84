#include "compiler/tune.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "compiler/decoder_batch.h"
#include "compiler/tune_gate.h"
#include "pipelines/llm/engine_options.h"
#include "pipelines/llm/model_info.h"
#include "plan/plan_file.h"
#include "runtime/backend_loader.h"
#include "runtime/step_signature.h"

namespace tenon::compiler {
namespace {

using runtime::Candidate;

// What a machine without much memory can spare for the caches of a measurement.
constexpr int64_t kMostHostCacheBytes = 1ll << 30;
constexpr int64_t kLeastContext = 64, kMostContext = 2048;

// Steps of one signature in one size, and what can run them.
struct Group {
  std::string signature, op, first_module;
  std::vector<size_t> steps;
  std::vector<Candidate> candidates;
  size_t standard = 0;  // the one that the lists' order takes
};

struct Measured {
  Candidate candidate;
  double seconds = 0;
  std::string failure;  // why it has no time
};

std::string name_of(const Candidate& candidate) {
  std::string name(candidate.implementation->name);
  return candidate.variant.empty() ? name : name + " " + candidate.variant;
}

std::vector<int64_t> powers_of_two(int64_t from, int64_t to) {
  std::vector<int64_t> values;
  for (int64_t value = from; value < to; value *= 2) values.push_back(value);
  if (to >= from) values.push_back(to);
  return values;
}

void check_sizes(const std::vector<int64_t>& sizes, const char* option, int64_t most) {
  for (int64_t size : sizes) {
    if (size >= 1 && size <= most) continue;
    throw Error(ErrorCode::Usage, "size is out of range")
        .at(option)
        .got(std::to_string(size))
        .accepted("1 to " + std::to_string(most));
  }
}

class Tuner {
 public:
  Tuner(const TuneOptions& options, Progress& progress)
      : options_(options), progress_(progress), file_(plan::PlanFile::open(options.plan)) {
    model_ = llm::read_model_info(file_->plan());
    budget_ = budget_of(file_->plan());
    runtime::SessionOptions without;
    without.devices = {options.device};
    without.use_tactics = false;
    session_ = runtime::Session::open(file_, without);
    llm::check_decoder_stage(session_->stage("decoder").stage());
    choose_sizes();
  }

  TuneResult run() {
    std::vector<DecoderShape> shapes = wanted_shapes();
    progress_.begin("measuring", count_measurements(shapes));
    for (const DecoderShape& shape : shapes) tune_shape(shape);
    progress_.end();
    TuneResult result;
    result.path = options_.output.empty() ? plan::tactics_path(options_.plan) : options_.output;
    result.tactics.set = {session_->device().fingerprint(), tactics_};
    result.tactics.plan = to_hex(file_->identity());
    session_.reset();
    prove(shapes, result);
    result.report = report(result);
    AtomicFile out(result.path);
    out.append(plan::to_text(result.tactics));
    out.sync();
    out.commit();
    return result;
  }

 private:
  void choose_sizes() {
    batches_ =
        options_.batches.empty() ? powers_of_two(1, model_.max_batch_size) : options_.batches;
    prompts_ = options_.prompts;
    if (prompts_.empty() && model_.max_seq_len > kLeastContext) {
      prompts_ = powers_of_two(kLeastContext, std::min<int64_t>(512, model_.max_seq_len - 1));
    }
    check_sizes(batches_, "--batches", model_.max_batch_size);
    check_sizes(prompts_, "--prompts", model_.max_seq_len);
    context_ =
        options_.context == 0 ? std::min(model_.max_seq_len, kMostContext) : options_.context;
    check_sizes({context_}, "--context", model_.max_seq_len);
    for (int64_t prompt : prompts_) context_ = std::max(context_, prompt);
  }

  // Fewer positions where the caches of a large batch would take too much memory.
  int64_t context_for(int64_t seqs) {
    runtime::StageRunner& decoder = session_->stage("decoder");
    bool host = decoder.is_host();
    int64_t most = host ? kMostHostCacheBytes : session_->device().free_bytes() / 4;
    int64_t context = context_;
    while (context > kLeastContext &&
           decoder.state_bytes(cache_symbols({seqs, 1, context})) > most) {
      context /= 2;
    }
    return context;
  }

  std::vector<DecoderShape> wanted_shapes() {
    std::vector<DecoderShape> shapes;
    for (int64_t batch : batches_) shapes.push_back({batch, 1, context_for(batch)});
    for (int64_t prompt : prompts_) shapes.push_back({1, prompt, std::max(context_for(1), prompt)});
    return shapes;
  }

  std::vector<Group> groups_of(const DecoderShape& shape) {
    runtime::StageRunner& decoder = session_->stage("decoder");
    const plan::Stage& stage = decoder.stage();
    decoder.allocate_states(cache_symbols(shape));
    SymbolValues bounds = decoder.bounds_of(symbols_of(shape));
    std::map<std::string, Group> groups;
    for (size_t i = 0; i < stage.steps.size(); ++i) {
      ops::OpDesc desc = runtime::describe_step(stage, stage.steps[i], bounds);
      std::string signature = runtime::step_signature(stage, stage.steps[i], desc);
      Group& group = groups[signature];
      group.steps.push_back(i);
      if (group.steps.size() > 1) continue;
      group.signature = signature;
      group.op = stage.steps[i].op;
      group.first_module = stage.steps[i].module;
      group.candidates = runtime::find_candidates(desc, decoder.backends());
      group.standard = standard_of(desc, decoder.backends(), group.candidates);
    }
    std::vector<Group> wanted;
    for (auto& [signature, group] : groups) {
      if (group.candidates.size() > 1) wanted.push_back(std::move(group));
    }
    return wanted;
  }

  // The scalar reference is far slower than anything else; it stands last and is measured only
  // where it is the choice.
  static size_t standard_of(const ops::OpDesc& desc, const std::vector<runtime::Backend>& backends,
                            std::vector<Candidate>& candidates) {
    const ops::Implementation* chosen = nullptr;
    for (const runtime::Backend& backend : backends) {
      if (!chosen)
        chosen = ops::choose_implementation(backend.implementations, desc).implementation;
    }
    std::erase_if(candidates, [&](const Candidate& candidate) {
      return candidate.device == "reference" && candidate.implementation != chosen;
    });
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (candidates[i].implementation != chosen || !candidates[i].variant.empty()) continue;
      std::rotate(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(i),
                  candidates.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
    return 0;
  }

  int64_t count_measurements(const std::vector<DecoderShape>& shapes) {
    std::set<std::string> seen;
    int64_t count = 0;
    for (const DecoderShape& shape : shapes) {
      for (const Group& group : groups_of(shape)) {
        if (seen.insert(group.signature).second)
          count += static_cast<int64_t>(group.candidates.size());
      }
    }
    return count;
  }

  void tune_shape(const DecoderShape& shape) {
    runtime::StageRunner& decoder = session_->stage("decoder");
    std::vector<Group> groups = groups_of(shape);
    std::erase_if(groups,
                  [&](const Group& group) { return !tuned_.insert(group.signature).second; });
    if (groups.empty()) return;
    DecoderBatch batch(shape, model_.hidden, model_.vocabulary);
    decoder.run(batch.views());
    for (const Group& group : groups) tune_group(shape, group);
  }

  void tune_group(const DecoderShape& shape, const Group& group) {
    // The standard first: what is many times slower need not be measured well.
    constexpr double kHopeless = 4, kStartSeconds = 30e-6;
    double least = std::numeric_limits<double>::infinity();
    std::vector<Measured> all;
    for (const Candidate& candidate : group.candidates) {
      Measured measured{candidate, 0, ""};
      try {
        double give_up = kHopeless * least + kStartSeconds;
        measured.seconds = session_->stage("decoder").time_steps(group.steps, candidate,
                                                                 options_.rounds, give_up) /
                           static_cast<double>(group.steps.size());
        least = std::min(least, measured.seconds);
      } catch (const Error& error) {
        // A candidate that does not run here is no error of tuning; a broken device is.
        if (error.code() == ErrorCode::DeviceFault) throw;
        measured.failure = error.what();
      }
      all.push_back(std::move(measured));
      progress_.advance(++done_);
    }
    const Measured& standard = all[group.standard];
    const Measured* best = &standard;
    for (const Measured& measured : all) {
      if (!measured.failure.empty()) continue;
      if (!best->failure.empty() || measured.seconds < best->seconds) best = &measured;
    }
    bool worth =
        best != &standard && best->failure.empty() &&
        (!standard.failure.empty() || best->seconds < standard.seconds * (1 - options_.least_gain));
    if (worth) {
      tactics_.push_back({group.signature, std::string(best->candidate.implementation->name),
                          best->candidate.variant, name_of(standard.candidate), best->seconds,
                          standard.seconds, static_cast<int64_t>(group.steps.size())});
    }
    measurements_.push_back(to_json(shape, group, all, worth ? *best : standard));
  }

  static data::Json to_json(const DecoderShape& shape, const Group& group,
                            const std::vector<Measured>& all, const Measured& chosen) {
    data::Json candidates = data::Json::array();
    for (const Measured& measured : all) {
      data::Json entry = data::Json::object();
      entry.set("name", name_of(measured.candidate));
      if (measured.failure.empty()) {
        entry.set("seconds", measured.seconds);
      } else {
        entry.set("failure", measured.failure);
      }
      candidates.push_back(std::move(entry));
    }
    data::Json json = data::Json::object();
    json.set("step", group.signature).set("op", group.op).set("first", group.first_module);
    json.set("steps", static_cast<int64_t>(group.steps.size()));
    json.set("seqs", shape.seqs).set("tokens_each", shape.tokens_each);
    json.set("standard", name_of(all[group.standard].candidate));
    json.set("chosen", name_of(chosen.candidate)).set("candidates", std::move(candidates));
    return json;
  }

  void prove(const std::vector<DecoderShape>& shapes, TuneResult& result) {
    TuneGate gate =
        run_tune_gate(file_, options_.device, result.tactics.set, shapes, budget_, progress_);
    result.tactics.gate = gate.report;
    for (const std::string& line : gate.skipped) progress_.note("note: skipped: " + line);
    if (gate.failures.empty()) return;
    throw Error(ErrorCode::ProofFailed, "the plan with these tactics failed its fidelity gate")
        .at(options_.device.to_string())
        .got(join(gate.failures, "; "))
        .fix("nothing was written; the plan runs as before");
  }

  data::Json report(const TuneResult& result) {
    data::Json list = data::Json::array();
    for (data::Json& entry : measurements_) list.push_back(std::move(entry));
    data::Json json = data::Json::object();
    json.set("device", result.tactics.set.device).set("plan", result.tactics.plan);
    json.set("tactics", static_cast<int64_t>(result.tactics.set.tactics.size()));
    json.set("gate", result.tactics.gate).set("measurements", std::move(list));
    return json;
  }

  const TuneOptions& options_;
  Progress& progress_;
  std::shared_ptr<const plan::PlanFile> file_;
  std::unique_ptr<runtime::Session> session_;
  llm::ModelInfo model_;
  GateBudget budget_;
  std::vector<int64_t> batches_, prompts_;
  int64_t context_ = 0, done_ = 0;
  std::set<std::string> tuned_;
  std::vector<plan::Tactic> tactics_;
  std::vector<data::Json> measurements_;
};

}  // namespace

TuneResult tune(const TuneOptions& options, Progress& progress) {
  runtime::open_backends(options.device);
  return Tuner(options, progress).run();
}

}  // namespace tenon::compiler
