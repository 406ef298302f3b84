#include "cli/folder_survey.h"

#include <algorithm>

#include "base/file.h"
#include "frontends/checkpoint.h"
#include "frontends/safetensors/model_folder.h"
#include "models/model_list.h"
#include "prove/ceilings.h"
#include "runtime/machine_report.h"
#include "text/chat_template.h"

namespace tenon::cli {
namespace {

// Runs one part. What it finds wrong is added to the problems; two parts may find the same.
template <class Part>
void look(FolderSurvey& survey, Part&& part) {
  try {
    part();
  } catch (const Error& error) {
    bool ours = error.code() == ErrorCode::Internal || error.code() == ErrorCode::OutOfMemory;
    if (ours) throw;
    auto same = [&](const Error& known) { return std::string(known.what()) == error.what(); };
    if (std::ranges::none_of(survey.problems.errors(), same)) survey.problems.add(error);
  }
}

void look_at_weights(FolderSurvey& survey) {
  frontends::Checkpoint checkpoint = frontends::open_checkpoint(survey.path);
  for (const WeightInfo& info : checkpoint.weights->weights()) {
    ++survey.tensors;
    survey.parameters += info.extents.count();
    survey.weights_bytes += info.bytes();
  }
}

void look_at_tokenizer(FolderSurvey& survey, const std::string& folder) {
  survey.has_tokenizer = text::Tokenizer::is_in_folder(folder);
  if (survey.has_tokenizer) survey.tokens = text::Tokenizer::from_folder(folder)->vocabulary_size();
}

// A template that Tenon cannot use is stored all the same: it is no problem of a build.
void look_at_templates(FolderSurvey& survey, const std::string& folder) {
  text::ChatTemplates templates = text::read_chat_templates(folder);
  for (const std::string& name : templates.names()) {
    TemplateFact fact{name, ""};
    try {
      text::ChatTemplate::parse(*templates.find(name));
    } catch (const Error& error) {
      fact.problem = error.what();
    }
    survey.templates.push_back(std::move(fact));
  }
}

DeviceEstimate estimate_on(const FolderSurvey& survey, const std::string& device,
                           std::string what) {
  const models::LanguageModelInfo& info = survey.model->model.language;
  prove::Ceilings ceilings = prove::measure_ceilings(device::DeviceId::parse(device), DType::F32);
  DeviceEstimate estimate{device, std::move(what)};
  // Each position keeps a key and a value a layer and head, of 2 bytes in 16-bit plans.
  int64_t element = survey.weights_bytes >= 4 * survey.parameters ? 4 : 2;
  int64_t cache = 2 * element * info.layers * info.kv_heads * info.head_dim *
                  std::max<int64_t>(info.context, 1);
  estimate.memory_bytes = survey.build->plan_bytes + cache;
  auto parameters = static_cast<double>(survey.parameters);
  estimate.token_seconds =
      static_cast<double>(survey.build->plan_bytes) / std::max(ceilings.bytes_per_second, 1.0);
  estimate.prompt_seconds =
      2 * parameters * static_cast<double>(info.context) / std::max(ceilings.flops, 1.0);
  return estimate;
}

void estimate_all(FolderSurvey& survey) {
  compiler::BuildOptions options;
  options.model = survey.path;
  survey.build = compiler::estimate(options);
  runtime::MachineReport machine = runtime::report_machine();
  survey.devices.push_back(estimate_on(survey, "cpu", machine.cpu));
  for (const runtime::GpuReport& gpu : machine.gpus) {
    if (gpu.refusal) continue;
    std::string name = "cuda:" + std::to_string(gpu.gpu.index);
    survey.devices.push_back(estimate_on(survey, name, gpu.gpu.name));
    survey.devices.back().free_bytes = gpu.free_bytes;
  }
}

}  // namespace

FolderSurvey survey_folder(const std::string& path) {
  FolderSurvey survey;
  survey.path = path;
  std::string folder = path;
  if (!is_directory(path)) {
    size_t slash = path.rfind('/');
    folder = slash == std::string::npos ? "." : path.substr(0, slash);
  }
  // The whole import, and where it fails each part alone, so that all problems are found.
  look(survey, [&] {
    survey.model = compiler::import_model(path);
    survey.name = survey.model->name;
    survey.architecture = survey.model->model.architecture;
    survey.files = survey.model->files;
    survey.notes = survey.model->notes;
  });
  if (!survey.model) {
    look(survey, [&] {
      frontends::ModelFolder read = frontends::read_model_folder(path);
      survey.architecture = std::string(models::find_architecture(read.config).name);
    });
  }
  look(survey, [&] { look_at_weights(survey); });
  look(survey, [&] { look_at_tokenizer(survey, folder); });
  look(survey, [&] { look_at_templates(survey, folder); });
  if (survey.problems.empty()) look(survey, [&] { estimate_all(survey); });
  return survey;
}

}  // namespace tenon::cli
