#include "compiler/settings.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"
#include "compiler/version.h"

namespace tenon::compiler {
namespace {

// The float type that most of the checkpoint's bytes have.
DType stored_precision(const WeightSource& weights) {
  std::map<DType, int64_t> bytes;
  for (const WeightInfo& info : weights.weights()) {
    if (is_float(info.dtype)) bytes[info.dtype] += info.bytes();
  }
  DType best = DType::F32;
  int64_t most = 0;
  for (const auto& [dtype, count] : bytes) {
    if (count > most) {
      best = dtype;
      most = count;
    }
  }
  return best == DType::F16 || best == DType::BF16 ? best : DType::F32;
}

void loosen(std::optional<double> wanted, double& budget, bool larger_is_looser, GateBudget& all) {
  if (!wanted) return;
  if (larger_is_looser ? (budget > 0 && *wanted > budget) : *wanted < budget) all.loosened = true;
  budget = *wanted;
}

// What only language models have: saying it of another one is a mistake, not a wish.
void refuse_language_options(const BuildOptions& options, const std::string& architecture,
                             Problems& problems) {
  const std::pair<const char*, bool> given[] = {
      {"--max-seq-len", options.max_seq_len != 0},
      {"--base", !options.base.empty()},
      {"--check", !options.check_file.empty()},
      {"--golden", !options.golden_file.empty()},
      {"--max-kld", options.max_kld.has_value()},
      {"--min-same-top", options.min_same_top.has_value()},
      {"--quant", options.quant != "none"}};
  for (const auto& [option, is_given] : given) {
    if (!is_given) continue;
    problems.add(Error(ErrorCode::Usage, "an option of language models")
                     .at(option)
                     .got(architecture)
                     .fix("leave it out"));
  }
}

void describe_language(const BuildSettings& settings, const ImportedModel& model,
                       plan::Plan& plan) {
  const models::LanguageModelInfo& info = model.model.language;
  plan.pipeline = "llm";
  plan.model.set("vocabulary", info.vocabulary)
      .set("hidden", info.hidden)
      .set("layers", info.layers);
  plan.model.set("heads", info.heads).set("kv_heads", info.kv_heads).set("head_dim", info.head_dim);
  plan.model.set("context", info.context);
  if (info.bos >= 0) plan.model.set("bos", info.bos);
  plan.model.set("max_batch_size", settings.max_batch_size)
      .set("max_seq_len", settings.max_seq_len);
  plan.budgets = to_json(settings.budget);
}

void describe_staged(const BuildSettings& settings, const models::StagedModelInfo& info,
                     plan::Plan& plan) {
  plan.pipeline = info.pipeline;
  plan.model = info.description;
  plan.budgets = to_json(settings.stage_budget);
  for (const models::StageFeed& feed : info.feeds)
    plan.feeds.push_back({feed.from_stage, feed.from_value, feed.to_stage, feed.to_value});
}

data::Json generation_of(const ImportedModel& model) {
  data::Json generation = model.generation.is_object() ? model.generation : data::Json::object();
  data::Json eos = data::Json::array();
  for (int64_t id : model.model.language.eos) eos.push_back(id);
  generation.set("eos", eos);
  return generation;
}

data::Json provenance_of(const BuildOptions& options, const ImportedModel& model) {
  data::Json files = data::Json::array();
  for (const SourceFile& file : model.files) {
    data::Json entry = data::Json::object();
    entry.set("name", file.name).set("bytes", file.bytes).set("header_digest", file.header_digest);
    files.push_back(entry);
  }
  data::Json used = data::Json::object();
  if (options.quant != "none") {
    used.set("quant", options.quant).set("group_size", options.group_size);
    used.set("asymmetric", options.asymmetric);
  }
  used.set("dtype", options.dtype).set("max_batch_size", options.max_batch_size);
  used.set("max_seq_len", options.max_seq_len).set("gate", options.gate);
  data::Json provenance = data::Json::object();
  provenance.set("tenon_version", kVersion).set("files", files).set("options", used);
  provenance.set("config", model.config);
  return provenance;
}

// The spec that the options name, none, or a problem.
std::optional<passes::Quantisation> settle_quantisation(const BuildOptions& options,
                                                        Problems& problems) {
  auto refuse = [&](std::string_view option, std::string_view what, std::string_view got,
                    std::string_view accepted) -> std::optional<passes::Quantisation> {
    problems.add(Error(ErrorCode::Usage, what).at(option).got(got).accepted(accepted));
    return std::nullopt;
  };
  bool four = options.quant == "w4a16" || options.quant == "w4a8";
  if (!four && options.quant != "w8a8" && options.quant != "none") {
    return refuse("--quant", "unknown quantisation", options.quant, "none, w8a8, w4a16, w4a8");
  }
  int64_t group = options.group_size;
  if (!four && group != 0) {
    return refuse("--group-size", "only weights of 4 bits have groups", std::to_string(group),
                  "nothing");
  }
  if (group != 0 && group != 32 && group != 64 && group != 128) {
    return refuse("--group-size", "no such group", std::to_string(group), "32, 64, 128");
  }
  if (options.quant == "none") {
    if (!options.asymmetric) return std::nullopt;
    return refuse("--asymmetric", "there is nothing to quantise", "--quant none",
                  "w8a8, w4a16, w4a8");
  }
  passes::Quantisation result;
  result.weights.codes = four ? DType::U4 : DType::U8;
  result.weights.scales = four ? DType::F16 : DType::F32;
  result.weights.group = four && group == 0 ? 32 : group;
  result.weights.zero_points = options.asymmetric;
  result.x_codes = options.quant == "w4a16" ? "" : "i8";
  return result;
}

std::vector<plan::SymbolRange> language_symbols(const BuildSettings& settings) {
  // A step mixes prefill and decode of all sequences, so its tokens are bounded by their product. A
  // gate runs a few more sequences than a small plan is meant to serve.
  int64_t seqs = std::max<int64_t>(settings.max_batch_size, 64);
  int64_t tokens = std::max<int64_t>(seqs * settings.max_seq_len, 4096);
  return {{"tokens", 0, tokens},
          {"embed_rows", 0, tokens},
          {"seqs", 0, seqs},
          {"rows", 0, tokens},
          {"max_blocks", 1, tokens},
          {"cache_blocks", 1, tokens},
          {"block_size", 1, settings.max_seq_len}};
}

// Those of the model's symbols that the stage's shapes name.
std::vector<plan::SymbolRange> staged_symbols(const ir::Graph& stage,
                                              const models::StagedModelInfo& info) {
  std::vector<plan::SymbolRange> symbols;
  for (const models::SymbolBounds& bounds : info.symbols) {
    bool used = false;
    for (ir::ValueId input : stage.inputs()) {
      for (const Dim& dim : stage.value(input).type.shape)
        used = used || dim.symbol_name() == bounds.name;
    }
    if (used) symbols.push_back({bounds.name, bounds.least, bounds.most});
  }
  return symbols;
}

}  // namespace

std::string describe(const std::optional<passes::Quantisation>& quantisation) {
  if (!quantisation) return "none";
  const QuantSpec& spec = quantisation->weights;
  std::string text = spec.codes == DType::U4 ? "w4" : "w8";
  text += quantisation->x_codes.empty() ? "a16" : "a8";
  if (spec.group > 0) text += " g" + std::to_string(spec.group);
  return text + (spec.zero_points ? " asymmetric" : " symmetric");
}

BuildSettings settle(const BuildOptions& options, const ImportedModel& model) {
  BuildSettings settings;
  Problems problems;
  auto refuse = [&](std::string_view option, std::string_view what, std::string_view got,
                    std::string_view accepted) {
    problems.add(Error(ErrorCode::Usage, what).at(option).got(got).accepted(accepted));
  };
  if (options.dtype == "auto") {
    settings.precision = stored_precision(*model.weights);
  } else if (options.dtype == "f32" || options.dtype == "bf16" || options.dtype == "f16") {
    settings.precision = *dtype_from_name(options.dtype);
  } else {
    refuse("--dtype", "unknown precision", options.dtype, "auto, f32, bf16, f16");
  }
  int64_t context = model.model.language.context;
  settings.max_seq_len = options.max_seq_len == 0 ? context : options.max_seq_len;
  if (model.model.staged) {
    refuse_language_options(options, model.model.architecture, problems);
  } else if (settings.max_seq_len < 1 || settings.max_seq_len > context) {
    refuse("--max-seq-len", "outside the model's context", std::to_string(options.max_seq_len),
           "1 to " + std::to_string(context));
  }
  settings.max_batch_size = options.max_batch_size;
  if (settings.max_batch_size < 1 || settings.max_batch_size > 65536) {
    refuse("--max-batch-size", "out of range", std::to_string(options.max_batch_size),
           "1 to 65536");
  }
  settings.quantisation = settle_quantisation(options, problems);
  settings.budget = settings.quantisation ? quantised_budget(*settings.quantisation)
                                          : default_budget(settings.precision);
  settings.stage_budget = default_stage_budget(settings.precision);
  auto check_budget = [&](std::string_view option, std::optional<double> value, double most) {
    // 0 would read as "not held", which only gate = false may say.
    if (!value || (*value > 0 && *value <= most)) return;
    refuse(option, "budget is out of range", format_double(*value),
           "above 0, at most " + format_double(most));
  };
  check_budget("--max-kld", options.max_kld, 1e9);
  check_budget("--max-error", options.max_error, 1e9);
  check_budget("--min-same-top", options.min_same_top, 1);
  loosen(options.max_error, settings.budget.max_error_over_rms, true, settings.budget);
  loosen(options.max_kld, settings.budget.max_mean_kld, true, settings.budget);
  loosen(options.min_same_top, settings.budget.min_same_top, false, settings.budget);
  if (options.max_error) {
    StageBudget& budget = settings.stage_budget;
    budget.loosened =
        budget.max_error_over_rms > 0 && *options.max_error > budget.max_error_over_rms;
    budget.max_error_over_rms = *options.max_error;
  }
  problems.throw_if_any();
  return settings;
}

plan::Plan describe_plan(const BuildOptions& options, const BuildSettings& settings,
                         const ImportedModel& model) {
  plan::Plan plan;
  plan.architecture = model.model.architecture;
  plan.name = options.name.empty() ? model.name : options.name;
  if (model.model.staged) {
    describe_staged(settings, *model.model.staged, plan);
  } else {
    describe_language(settings, model, plan);
    plan.generation = generation_of(model);
  }
  plan.precision.set("dtype", dtype_name(settings.precision));
  plan.precision.set("residual_dtype", "f32").set("quantisation", describe(settings.quantisation));
  for (const std::string& path : options.tactics_files)
    plan.tactics.push_back(plan::read_tactics_file(path).set);
  // Two sets for one device are refused where they are read back; say it with the files' names.
  for (size_t i = 0; i < plan.tactics.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (plan.tactics[i].device != plan.tactics[j].device) continue;
      throw Error(ErrorCode::Usage, "two tactics files for one device")
          .at("--tactics")
          .got(options.tactics_files[j] + " and " + options.tactics_files[i]);
    }
  }
  if (!options.gate) plan.budgets.set("gate", "skipped by request");
  plan.provenance = provenance_of(options, model);
  if (model.tokenizer) plan.tokenizer = model.tokenizer->serialise();
  plan.chat_template = model.chat_template;
  return plan;
}

std::vector<plan::SymbolRange> stage_symbols(const ir::Graph& stage, const BuildSettings& settings,
                                             const models::BuiltModel& model) {
  return model.staged ? staged_symbols(stage, *model.staged) : language_symbols(settings);
}

std::vector<plan::SymbolRange> sample_symbols(const BuildSettings& settings) {
  int64_t seqs = std::max<int64_t>(settings.max_batch_size, 64);
  return {{"rows", 0, seqs}, {"history_tokens", 0, seqs * settings.max_seq_len}};
}

}  // namespace tenon::compiler
