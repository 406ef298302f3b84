#include "prove/original.h"

#include "base/error.h"
#include "base/file.h"
#include "compiler/import_model.h"
#include "compiler/lower.h"
#include "compiler/oracle.h"
#include "compiler/settings.h"
#include "ops/op_list.h"
#include "plan/plan_file.h"

namespace tenon::prove {
namespace {

compiler::LoweredPlan lower_oracle(const compiler::BuildOptions& options,
                                   const compiler::ImportedModel& model) {
  if (model.model.staged) {
    throw Error(ErrorCode::Unsupported, "not a language model")
        .at(model.path)
        .got(model.model.architecture)
        .fix("the gate of `tenon build` compares its stages with the oracle's");
  }
  compiler::BuildSettings settings = compiler::settle(options, model);
  compiler::LoweredPlan oracle;
  oracle.plan = compiler::describe_plan(options, settings, model);
  for (const ir::Graph& graph : model.model.stages) {
    compiler::lower_stage(graph, compiler::stage_symbols(graph, settings, model.model), oracle);
  }
  ir::Graph sample =
      compiler::make_sample_graph(model.model.language.vocabulary, ops::builtin_catalogue());
  compiler::lower_stage(sample, compiler::sample_symbols(settings), oracle);
  return oracle;
}

class Oracle : public Reference {
 public:
  Oracle(const std::string& path, const llm::EngineOptions& options)
      : path_(path),
        build_(options_for(path, options)),
        model_(compiler::import_model(path)),
        lowered_(lower_oracle(build_, model_)),
        constants_(*model_.weights, lowered_.recipes),
        engine_(std::make_unique<runtime::Session>(lowered_.plan, constants_), options) {}

  llm::Engine& engine() override { return engine_; }
  data::Json describe() const override {
    data::Json json = data::Json::object();
    json.set("path", path_).set("kind", "oracle").set("dtype", "f32");
    json.set("device", device::cpu_device().description());
    return json;
  }

 private:
  static compiler::BuildOptions options_for(const std::string& path,
                                            const llm::EngineOptions& options) {
    compiler::BuildOptions build;
    build.model = path;
    build.dtype = "f32";
    build.max_seq_len = options.max_seq_len;
    if (options.max_batch_size > 0) build.max_batch_size = options.max_batch_size;
    return build;
  }

  std::string path_;
  compiler::BuildOptions build_;
  compiler::ImportedModel model_;
  compiler::LoweredPlan lowered_;
  compiler::CheckpointConstants constants_;
  llm::Engine engine_;
};

class OtherPlan : public Reference {
 public:
  OtherPlan(const std::string& path, const llm::EngineOptions& options)
      : path_(path), engine_(llm::Engine::open(plan::PlanFile::open(path), options)) {}

  llm::Engine& engine() override { return *engine_; }
  data::Json describe() const override {
    data::Json json = data::Json::object();
    runtime::Session& session = engine_->session();
    json.set("path", path_).set("kind", "plan");
    json.set("dtype", session.plan().precision.get_string("dtype", "?"));
    json.set("device", session.device().description());
    return json;
  }

 private:
  std::string path_;
  std::unique_ptr<llm::Engine> engine_;
};

}  // namespace

std::unique_ptr<Reference> open_reference(const std::string& path,
                                          const llm::EngineOptions& options) {
  if (is_directory(path)) return std::make_unique<Oracle>(path, options);
  return std::make_unique<OtherPlan>(path, options);
}

void check_same_vocabulary(const llm::Engine& plan, const llm::Engine& reference) {
  int64_t here = plan.model().vocabulary, there = reference.model().vocabulary;
  if (here == there) return;
  throw Error(ErrorCode::BadInput, "plan and reference have different vocabularies")
      .got(std::to_string(here))
      .accepted(std::to_string(there));
}

}  // namespace tenon::prove
