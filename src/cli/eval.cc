#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <optional>

#include "base/file.h"
#include "base/text.h"
#include "cli/cli_progress.h"
#include "cli/command_line.h"
#include "cli/named_values.h"
#include "cli/numbers.h"
#include "cli/proof_failure.h"
#include "cli/text_table.h"
#include "cli/verb.h"
#include "plan/plan_file.h"
#include "prove/kld_eval.h"
#include "prove/original.h"
#include "prove/perplexity_eval.h"
#include "prove/rouge_eval.h"
#include "prove/wikitext.h"

namespace tenon::cli {
namespace {

using data::Json;
using Rows = std::vector<std::vector<std::string>>;

enum class Metric { Rouge, Perplexity, Kld };

struct EvalCommand {
  Metric metric = Metric::Rouge;
  std::string plan, data, device = "cpu", against, original, original_model, output;
  int64_t first = 0, batch_size = 1, window = 0, windows = 0;
  prove::SummarizeOptions summarize;
  prove::RougeOptions rouge;
  prove::PerplexityConvention convention = prove::PerplexityConvention::Gptq;
  bool detokenise = false;
  std::optional<double> max_perplexity, max_kld, min_same_top;
};

std::unique_ptr<llm::Engine> open_engine(const EvalCommand& command) {
  llm::EngineOptions options;
  options.device = device::DeviceId::parse(command.device);
  options.max_batch_size = command.batch_size;
  auto file = plan::PlanFile::open(command.plan);
  int64_t most = llm::read_model_info(file->plan()).max_batch_size;
  if (command.batch_size > most) {
    throw Error(ErrorCode::Usage, "the plan has no room for so many sequences")
        .at("--batch-size")
        .got(std::to_string(command.batch_size))
        .accepted("1 to " + std::to_string(most));
  }
  return llm::Engine::open(file, options);
}

const text::Tokenizer& tokenizer_of(const llm::Engine& engine) {
  if (engine.tokenizer()) return *engine.tokenizer();
  throw Error(ErrorCode::Unsupported, "the plan carries no tokenizer, so it reads no text");
}

Json header(const EvalCommand& command, llm::Engine& engine) {
  Json json = Json::object();
  json.set("plan", command.plan).set("data", command.data).set("device", command.device);
  json.set("command", command_line());
  json.set("device_description", engine.session().device().description());
  json.set("dtype", engine.session().plan().precision.get_string("dtype", "?"));
  return json;
}

prove::ForcedLogits forced_by(llm::Engine& engine) {
  return [&engine](std::span<const int32_t> ids, const llm::LogitsCallback& callback) {
    engine.forced_logits(ids, callback);
  };
}

// What the original wrote: from a file, or by its own f32 graph here.
std::vector<std::string> original_texts(const EvalCommand& command,
                                        const std::vector<prove::Article>& articles,
                                        const llm::Engine& plan, Progress& progress, Json& json) {
  if (!command.original.empty()) {
    json.set("original_from", command.original);
    return prove::read_outputs(command.original, articles);
  }
  if (command.original_model.empty()) return {};
  llm::EngineOptions options = plan.options();
  options.device = {};
  auto reference = prove::open_reference(command.original_model, options);
  prove::check_same_vocabulary(plan, reference->engine());
  prove::SummaryRun run =
      prove::summarize(reference->engine(), articles, command.summarize, progress);
  json.set("original_from", reference->describe()).set("original_seconds", run.seconds);
  return run.texts;
}

void write_texts(AtomicFile& file, const std::vector<prove::Article>& articles,
                 const std::vector<std::string>& texts) {
  for (size_t i = 0; i < texts.size(); ++i) {
    Json line = Json::object();
    if (!articles[i].id.empty()) line.set("id", articles[i].id);
    line.set("text", texts[i]);
    file.append(line.dump() + "\n");
  }
  file.commit();
}

std::vector<std::string> rouge_row(const char* name, const metrics::RougeSummary& summary) {
  std::vector<std::string> row = {name};
  for (const metrics::RougeBounds* bounds :
       {&summary.rouge1, &summary.rouge2, &summary.rouge_l, &summary.rouge_l_sum}) {
    row.push_back(fmt::format("{:.3f} [{:.2f}, {:.2f}]", 100 * bounds->mid.f, 100 * bounds->low.f,
                              100 * bounds->high.f));
  }
  return row;
}

std::string rouge_text(const prove::RougeEval& eval, const prove::SummaryRun& run) {
  Rows rows = {{"", "ROUGE-1", "ROUGE-2", "ROUGE-L", "ROUGE-Lsum"},
               rouge_row("plan against gold", eval.gold)};
  if (eval.original) {
    rows.push_back(rouge_row("original against gold", *eval.original));
    rows.push_back(rouge_row("plan against original", *eval.agreement));
  }
  std::string text = text_table(rows, "lrrrr");
  if (eval.original) {
    text += fmt::format("{} of {} texts equal the original's\n", eval.identical, run.texts.size());
  }
  int64_t tokens = 0;
  for (int64_t count : run.new_tokens) tokens += count;
  text += fmt::format("{} articles, total latency {:.3f} s, {} new tokens, {:.1f} /s\n",
                      run.texts.size(), run.seconds, tokens,
                      static_cast<double>(tokens) / std::max(run.seconds, 1e-9));
  if (run.cut_prompts > 0) {
    text += fmt::format("{} prompts were cut to their last {} tokens\n", run.cut_prompts,
                        run.most_prompt_tokens);
  }
  return text;
}

void eval_rouge(const EvalCommand& command, Console& console) {
  std::vector<prove::Article> articles = prove::read_articles(command.data, command.first);
  auto engine = open_engine(command);
  // Made first: a path that cannot be written costs no summaries.
  std::optional<AtomicFile> output;
  if (!command.output.empty()) output.emplace(command.output);
  CliProgress progress(console);
  prove::SummaryRun run = prove::summarize(*engine, articles, command.summarize, progress);
  Json json = header(command, *engine);
  if (output) write_texts(*output, articles, run.texts);
  std::vector<std::string> original = original_texts(command, articles, *engine, progress, json);
  prove::RougeEval eval = prove::evaluate_rouge(articles, run.texts, original, command.rouge);
  json.set("articles", static_cast<int64_t>(articles.size()));
  json.set("seconds", run.seconds).set("batch_size", command.batch_size);
  Json protocol = Json::object();
  protocol.set("prompt_tokens", run.most_prompt_tokens);
  protocol.set("first_tokens", command.summarize.first_tokens);
  protocol.set("new_tokens", command.summarize.new_tokens).set("cut_prompts", run.cut_prompts);
  protocol.set("stem", command.rouge.stem).set("seed", static_cast<int64_t>(command.rouge.seed));
  json.set("protocol", std::move(protocol)).set("rouge", prove::to_json(eval));
  if (console.json()) {
    console.print_document("eval", json.set("metric", "rouge"));
  } else {
    console.print(rouge_text(eval, run));
  }
  throw_if_failed(eval.failures, "the plan's summaries are worse than their budget",
                  "compare the plan with its model (tenon compare), or build in a wider type");
}

// A prefix that stands for "nothing before": as lm-eval, the first of these that the model has.
int32_t prefix_of(const llm::Engine& engine) {
  const llm::ModelInfo& model = engine.model();
  if (model.bos >= 0) return static_cast<int32_t>(model.bos);
  if (!model.eos.empty()) return model.eos[0];
  throw Error(ErrorCode::Unsupported, "the model names no token to begin a text with")
      .fix("use --convention gptq");
}

// Positions of a window; one position predicts nothing.
int64_t checked_window(int64_t given, int64_t otherwise, const llm::Engine& engine) {
  int64_t window = given > 0 ? given : otherwise, most = engine.options().max_seq_len;
  if (window >= 2 && window <= most) return window;
  throw Error(ErrorCode::Usage, "window does not fit the plan's sequences")
      .at("--window")
      .got(std::to_string(window))
      .accepted("2 to " + std::to_string(most));
}

prove::PerplexityTask perplexity_task(const EvalCommand& command, const llm::Engine& engine) {
  const text::Tokenizer& tokenizer = tokenizer_of(engine);
  prove::PerplexityTask task;
  task.convention = command.convention;
  task.most_windows = command.windows;
  int64_t most = engine.options().max_seq_len;
  bool gptq = command.convention == prove::PerplexityConvention::Gptq;
  task.window = checked_window(command.window, gptq ? std::min<int64_t>(2048, most) : most, engine);
  std::vector<std::string> texts = prove::read_texts(command.data);
  if (gptq) texts = {join(texts, "\n\n")};
  bool pages = command.convention == prove::PerplexityConvention::LmEval;
  if (pages) task.prefix = prefix_of(engine);
  for (const std::string& text : texts) {
    prove::PerplexityText entry{.words = prove::count_words(text),
                                .bytes = static_cast<int64_t>(text.size())};
    std::string read = command.detokenise ? prove::detokenise_wikitext(text) : text;
    entry.ids = tokenizer.encode(read, {.add_special_tokens = !pages});
    task.texts.push_back(std::move(entry));
  }
  return task;
}

std::string perplexity_text(const prove::PerplexityTask& task, const prove::PerplexityEval& eval) {
  std::string text =
      fmt::format("perplexity {:.6f}, convention {}, window {}: {} tokens predicted in {} windows",
                  eval.perplexity, prove::convention_name(task.convention), task.window,
                  eval.tokens, eval.windows);
  if (eval.dropped > 0) text += fmt::format(", {} tokens dropped", eval.dropped);
  text += "\n";
  if (task.convention == prove::PerplexityConvention::LmEval) {
    text += fmt::format(
        "word_perplexity {:.6f} over {} words, byte_perplexity {:.6f} and bits_per_byte {:.6f} "
        "over "
        "{} bytes\n",
        eval.word_perplexity, eval.words, eval.byte_perplexity, eval.bits_per_byte, eval.bytes);
  }
  return text;
}

void eval_perplexity(const EvalCommand& command, Console& console) {
  auto engine = open_engine(command);
  prove::PerplexityTask task = perplexity_task(command, *engine);
  CliProgress progress(console);
  prove::PerplexityEval eval = prove::evaluate_perplexity(task, forced_by(*engine), progress);
  std::vector<std::string> failures;
  if (command.max_perplexity && !(eval.perplexity <= *command.max_perplexity)) {
    failures.push_back("perplexity is " + format_double(eval.perplexity) + ", budget at most " +
                       format_double(*command.max_perplexity));
  }
  if (console.json()) {
    Json json = header(command, *engine);
    json.set("metric", "perplexity").set("perplexity", prove::to_json(task, eval));
    json.set("detokenised", command.detokenise).set("passed", failures.empty());
    console.print_document("eval", json);
  } else {
    console.print(perplexity_text(task, eval));
  }
  throw_if_failed(failures, "the plan's perplexity misses its budget", "build in a wider type");
}

std::string kld_text(const prove::KldEval& eval, const Json& reference) {
  const metrics::KldStats& kld = eval.kld;
  Rows rows = {{"KL divergence, nats", "mean", "median", "p90", "p95", "p99", "max"},
               {fmt::format("{} positions", kld.rows)}};
  for (double value : {kld.mean, kld.median, kld.p90, kld.p95, kld.p99, kld.max}) {
    rows[1].push_back(fmt::format("{:.3g}", value));
  }
  std::string text = text_table(rows, "lrrrrrr");
  text += fmt::format("same top token: {:.2f} % of {} decided positions, {:.2f} % of all\n",
                      100 * kld.same_top, kld.decided_rows, 100 * kld.same_top_all);
  // A text of one token goes on with nothing.
  if (eval.tokens > 0)
    text += fmt::format(
        "perplexity {:.6f}, reference {:.6f}, ratio {:.6f}; probability of the text's token "
        "changes "
        "by "
        "{:.3g} on average, {:.3g} RMS\n",
        eval.perplexity, eval.reference_perplexity, eval.perplexity / eval.reference_perplexity,
        eval.mean_probability_change, eval.rms_probability_change);
  return text + fmt::format("reference: {} {}, {}\n", reference.get_string("kind", ""),
                            printable(reference.get_string("path", "")),
                            reference.get_string("dtype", ""));
}

void eval_kld(const EvalCommand& command, Console& console) {
  auto engine = open_engine(command);
  llm::EngineOptions options = engine->options();
  auto reference = prove::open_reference(command.against, options);
  prove::check_same_vocabulary(*engine, reference->engine());
  Json described = reference->describe();
  if (described.get_string("dtype", "") != "f32") {
    console.note("note: the reference is a plan in " + described.get_string("dtype", "?") +
                 ", not in f32");
  }
  prove::KldTask task;
  task.window =
      checked_window(command.window, std::min<int64_t>(512, options.max_seq_len), *engine);
  task.most_windows = command.windows;
  for (const std::string& text : prove::read_texts(command.data)) {
    task.texts.push_back(tokenizer_of(*engine).encode(text));
  }
  CliProgress progress(console);
  prove::KldEval eval =
      prove::evaluate_kld(task, forced_by(*engine), forced_by(reference->engine()), progress);
  std::vector<std::string> failures;
  if (command.max_kld && !(eval.kld.mean <= *command.max_kld)) {
    failures.push_back("mean KL divergence is " + format_double(eval.kld.mean) +
                       ", budget at most " + format_double(*command.max_kld));
  }
  if (command.min_same_top && !(eval.kld.same_top >= *command.min_same_top)) {
    failures.push_back("share of same top tokens is " + format_double(eval.kld.same_top) +
                       ", budget at least " + format_double(*command.min_same_top));
  }
  if (console.json()) {
    Json json = header(command, *engine);
    json.set("metric", "kld").set("reference", described).set("kld", prove::to_json(task, eval));
    console.print_document("eval", json.set("passed", failures.empty()));
  } else {
    console.print(kld_text(eval, described));
  }
  throw_if_failed(failures, "the plan is further from its reference than its budget",
                  "find the steps at fault with tenon compare --layers");
}

void declare_data(CLI::App& app, EvalCommand& command, const char* what) {
  app.add_option("plan", command.plan, "plan file")->required()->type_name("PLAN");
  app.add_option("--data", command.data, what)->required()->type_name("FILE");
  app.add_option("--device", command.device, "cpu, cuda or cuda:1")->capture_default_str();
}

void declare_rouge(CLI::App& app, EvalCommand& command) {
  declare_data(app, command, "JSONL with article and highlights a line (CNN/DailyMail)");
  app.add_option("--first", command.first, "only the first articles; 0: all")->check(at_least(0));
  auto* file = app.add_option("--original", command.original,
                              "JSONL with the original's text for each article, by id or in order");
  app.add_option("--original-model", command.original_model,
                 "folder of the original model, or a plan, that writes them here; a folder runs in "
                 "f32 on the CPU")
      ->excludes(file);
  app.add_option("--max-drop", command.rouge.max_drop,
                 "budget: ROUGE-1 points below the original's")
      ->check(number_within(-100, 100))
      ->capture_default_str();
  app.add_option("--min-rouge1", command.rouge.min_rouge1, "budget: ROUGE-1 must exceed it")
      ->check(number_within(0, 100));
  app.add_flag("--stem", command.rouge.stem, "compare Porter's stems");
  app.add_option("--seed", command.rouge.seed, "of the bootstrap")->capture_default_str();
  app.add_option("--batch-size", command.batch_size, "articles that run at once")
      ->check(at_least(1))
      ->capture_default_str();
  app.add_option("--prompt-tokens", command.summarize.prompt_tokens,
                 "last tokens of a prompt that are kept; 0: 923, or what the plan has room for")
      ->check(at_least(0));
  app.add_option("--first-tokens", command.summarize.first_tokens,
                 "first tokens kept before that (1024: as transformers' branch of the protocol)")
      ->check(at_least(0));
  app.add_option("--max-new-tokens", command.summarize.new_tokens, "tokens of a summary")
      ->check(at_least(1))
      ->capture_default_str();
  app.add_option("-o,--output", command.output, "writes the summaries, as JSONL")
      ->type_name("FILE");
}

void declare_windows(CLI::App& app, EvalCommand& command, const char* window) {
  app.add_option("--window", command.window, window)->check(at_least(0));
  app.add_option("--windows", command.windows, "only the first windows; 0: all")
      ->check(at_least(0));
}

void declare_perplexity(CLI::App& app, EvalCommand& command) {
  static const std::map<std::string, prove::PerplexityConvention> kConventions = {
      {"gptq", prove::PerplexityConvention::Gptq},
      {"lm-eval", prove::PerplexityConvention::LmEval},
      {"document", prove::PerplexityConvention::Document}};
  declare_data(app, command, "a text file, or JSONL with text or page a line");
  app.add_option("--convention", command.convention,
                 "gptq: one text in windows; lm-eval: pages, over their words and bytes; document: "
                 "each text from its second token")
      ->transform(named_values(kConventions))
      ->default_str("gptq");
  declare_windows(app, command, "positions of a window; 0: 2048 (gptq) or the plan's sequences");
  app.add_flag("--detokenise", command.detokenise, "undo WikiText's spacing, as lm-eval does");
  app.add_option("--max-perplexity", command.max_perplexity, "budget")->check(budget());
}

void declare_kld(CLI::App& app, EvalCommand& command) {
  declare_data(app, command, "a text file, or JSONL with text a line");
  app.add_option("--against", command.against,
                 "folder of the original model (runs in f32 on the CPU), or a plan in f32")
      ->required()
      ->type_name("DIR|PLAN");
  declare_windows(app, command, "positions of a window; 0: 512");
  app.add_option("--max-kld", command.max_kld, "budget: mean KL divergence in nats")
      ->check(budget());
  app.add_option("--min-same-top", command.min_same_top,
                 "budget: share of decided positions with the same top token")
      ->check(number_within(0, 1, true));
}

}  // namespace

VerbAction declare_eval(CLI::App& app) {
  auto command = std::make_shared<EvalCommand>();
  struct Sub {
    const char* name;
    const char* what;
    Metric metric;
    void (*declare)(CLI::App&, EvalCommand&);
  };
  static constexpr Sub kSubs[] = {
      {"rouge", "summaries of articles against gold and the original", Metric::Rouge,
       declare_rouge},
      {"ppl", "perplexity of a text, by a named convention", Metric::Perplexity,
       declare_perplexity},
      {"kld", "divergence from an f32 reference, token by token", Metric::Kld, declare_kld}};
  app.require_subcommand(1);
  for (const Sub& sub : kSubs) {
    CLI::App* child = app.add_subcommand(sub.name, sub.what);
    child->fallthrough();
    sub.declare(*child, *command);
    child->callback([command, metric = sub.metric] { command->metric = metric; });
  }
  return [command](Console& console) {
    if (command->metric == Metric::Rouge) return eval_rouge(*command, console);
    if (command->metric == Metric::Perplexity) return eval_perplexity(*command, console);
    eval_kld(*command, console);
  };
}

}  // namespace tenon::cli
