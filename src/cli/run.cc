#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <deque>

#include "base/text.h"
#include "cli/interruption.h"
#include "cli/numbers.h"
#include "cli/prompts.h"
#include "cli/proof_note.h"
#include "cli/run_report.h"
#include "cli/run_sam.h"
#include "cli/sampling_options.h"
#include "cli/tactics_note.h"
#include "cli/verb.h"
#include "pipelines/llm/engine.h"
#include "plan/plan_file.h"

namespace tenon::cli {
namespace {

struct RunCommand {
  std::string plan, prompt, prompts_file, suffix, device = "cpu";
  CLI::Option* prompt_given = nullptr;
  std::vector<int32_t> ids;
  int64_t batch_size = 0;
  SamplingOptions sampling;
  SamOptions sam;
};

std::vector<Prompt> gather_prompts(const RunCommand& command) {
  if (!command.prompts_file.empty()) return read_prompts(command.prompts_file);
  return {{.text = command.prompt, .ids = command.ids}};
}

// One for each prompt. The cache is made for the longest sequence there can be, not for the plan's
// limit.
std::vector<llm::Request> make_requests(const std::vector<Prompt>& prompts,
                                        const SamplingOptions& options,
                                        const llm::SamplingParams& defaults,
                                        const llm::ModelInfo& model, llm::EngineOptions& engine) {
  std::vector<llm::Request> requests;
  int64_t longest = 1;
  for (const Prompt& prompt : prompts) {
    auto tokens = static_cast<int64_t>(prompt.ids.size());
    llm::Request request;
    request.prompt = {llm::Segment::of_ids(prompt.ids)};
    request.sampling = merge_sampling(defaults, options, model.max_seq_len - tokens);
    int64_t new_tokens = request.sampling.max_new_tokens;
    // 0 fills the sequence; a sum beyond the limit is for the engine to refuse or cut.
    bool fills = new_tokens <= 0 || new_tokens > model.max_seq_len - tokens;
    longest = std::max(longest, fills ? model.max_seq_len : tokens + new_tokens);
    requests.push_back(std::move(request));
  }
  engine.max_seq_len = std::min(longest, model.max_seq_len);
  if (engine.max_batch_size == 0) engine.max_batch_size = model.max_batch_size;
  engine.max_batch_size =
      std::min<int64_t>(engine.max_batch_size, static_cast<int64_t>(requests.size()));
  return requests;
}

struct Shown {
  bool stream = false;  // each piece as soon as it is certain, else whole results
  bool ids = false;     // of a plan without a tokenizer: "5,17,3", as --ids takes them
};

// Steps the engine, shows what is certain, returns the results in the order of the requests.
class Generation {
 public:
  Generation(llm::Engine& engine, Console& console, const Shown& shown)
      : engine_(engine), console_(console), stream_(shown.stream), ids_(shown.ids) {}

  std::vector<llm::Result> run(std::vector<llm::Request> requests) {
    results_.resize(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      engine_.submit(std::move(requests[i]), [this, i](const llm::Update& update) {
        // Printed after the step: what throws here would pass through the engine.
        if (stream_) pending_ += update.text;
        if (stream_ && ids_ && update.token) add_id(*update.token);
        if (update.result) results_[i] = *update.result;
      });
    }
    do {
      stop_where_asked();
      show();
    } while (engine_.step());
    show();
    std::vector<llm::Result> all;
    for (auto& result : results_) all.push_back(std::move(result.value()));
    return all;
  }

 private:
  void stop_where_asked() {
    try {
      throw_if_interrupted();
    } catch (const Error&) {
      // The error's line on a terminal begins at its own line.
      if (streamed_) console_.print("\n");
      throw;
    }
  }

  void add_id(int32_t id) {
    if (streamed_ || !pending_.empty()) pending_ += ",";
    pending_ += std::to_string(id);
  }

  std::string whole(const llm::Result& result) const {
    return ids_ ? fmt::format("{}", fmt::join(result.ids, ",")) : one_line(result.text);
  }

  void show() {
    if (console_.json()) return;
    if (stream_) {
      streamed_ = streamed_ || !pending_.empty();
      if (!pending_.empty()) console_.print_untrusted(pending_);
      pending_.clear();
      if (results_[0] && shown_++ == 0) console_.print("\n");
      return;
    }
    while (shown_ < results_.size() && results_[shown_]) {
      console_.print_untrusted(whole(*results_[shown_]) + "\n");
      ++shown_;
    }
  }

  llm::Engine& engine_;
  Console& console_;
  bool stream_, ids_;
  bool streamed_ = false;
  std::string pending_;
  size_t shown_ = 0;
  std::deque<std::optional<llm::Result>> results_;
};

constexpr const char* kCommonOptions[] = {"plan",    "--device",    "--json",
                                          "--quiet", "--log-level", "--help"};

// A plan for pictures takes no prompt and no option of drawing tokens, and the other way round.
void check_options_fit(const CLI::App& app, const std::string& pipeline) {
  bool pictures = pipeline == "sam";
  bool prompt = app.count("--prompt") + app.count("--prompts") + app.count("--ids") > 0;
  if (pictures && prompt) {
    throw Error(ErrorCode::Usage, "the plan takes pictures, no text")
        .at("--prompt")
        .accepted("--image with --point, --box, --mask-input or --everything");
  }
  if (!pictures && !prompt) {
    throw Error(ErrorCode::Usage, "nothing to continue")
        .accepted("one of --prompt, --prompts, --ids");
  }
  for (const CLI::Option* option : app.get_options()) {
    bool common = std::any_of(std::begin(kCommonOptions), std::end(kCommonOptions),
                              [&](const char* name) { return option->check_name(name); });
    if (option->count() == 0 || common) continue;
    bool of_pictures = option->get_group() == kPictureOptions;
    if (of_pictures == pictures) continue;
    throw Error(ErrorCode::Usage, of_pictures ? "an option of plans that take pictures"
                                              : "an option of language models")
        .at(option->get_name())
        .got("a plan of the pipeline " + pipeline)
        .fix("leave it out");
  }
}

void run_language(RunCommand& command, std::shared_ptr<const plan::PlanFile> file,
                  Console& console) {
  auto started = std::chrono::steady_clock::now();
  llm::EngineOptions options;
  options.device = device::DeviceId::parse(command.device);
  options.max_batch_size = command.batch_size;
  std::vector<Prompt> prompts = gather_prompts(command);
  llm::ModelInfo model = llm::read_model_info(file->plan());
  auto tokenizer = llm::make_tokenizer(file->plan());
  encode_prompts(prompts, tokenizer.get(), command.suffix);
  auto defaults = llm::SamplingParams::from_generation(file->plan().generation);
  for (const std::string& field : llm::unfollowed_generation_fields(file->plan().generation)) {
    console.note("note: the plan's generation default " + field + " is not followed");
  }
  std::vector<llm::Request> requests =
      make_requests(prompts, command.sampling, defaults, model, options);
  llm::SamplingParams sampling = requests[0].sampling;
  auto engine = llm::Engine::open(file, options);
  std::string proof = proof_note(*file, engine->session().device());
  if (!proof.empty()) console.note("note: " + proof);
  RunReport report;
  auto loaded = std::chrono::steady_clock::now();
  report.load_seconds = std::chrono::duration<double>(loaded - started).count();
  // Results of a file stay one a line, even where it holds one prompt.
  Shown shown{.stream = command.prompts_file.empty(), .ids = !tokenizer};
  Generation generation(*engine, console, shown);
  report.results = generation.run(std::move(requests));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - loaded).count();
  note_tactics(engine->session(), console);
  if (console.json()) {
    data::Json fields = to_json(report, prompts);
    fields.set("plan", command.plan).set("device", options.device.to_string());
    fields.set("tactics", tactics_json(engine->session()))
        .set("proof_note", proof)
        .set("sampling", to_json(sampling));
    console.print_document("run", fields);
  }
  console.note(speed_line(report));
}

void run_plan(RunCommand& command, const CLI::App& app, Console& console) {
  // What needs no plan to be wrong comes first.
  command.sam.device = device::DeviceId::parse(command.device);
  if (!command.prompt_given->empty() && command.prompt.empty()) {
    throw Error(ErrorCode::Usage, "prompt is empty").at("--prompt");
  }
  bool prompt = app.count("--prompt") + app.count("--prompts") + app.count("--ids") > 0;
  if (!prompt && command.sam.image.empty()) {
    throw Error(ErrorCode::Usage, "nothing to run on")
        .accepted("one of --prompt, --prompts, --ids, or --image for plans that take pictures");
  }
  auto file = plan::PlanFile::open(command.plan);
  check_options_fit(app, file->plan().pipeline);
  if (file->plan().pipeline == "sam") {
    run_sam(file, command.sam, console);
  } else {
    run_language(command, file, console);
  }
}

void declare_prompts(CLI::App& app, RunCommand& command) {
  CLI::Option_group* source = app.add_option_group("prompt", "what to continue: one of");
  command.prompt_given = source->add_option("--prompt", command.prompt, "a text");
  source
      ->add_option("--prompts", command.prompts_file,
                   "a file (- for stdin) with one prompt a line, or JSONL with prompt, article or "
                   "ids; prints one line a result, with newlines as \\n and backslashes as \\\\")
      ->type_name("FILE");
  source->add_option("--ids", command.ids, "token ids: 1,2,3")->delimiter(',');
  source->require_option(0, 1);
  app.add_option("--prompt-suffix", command.suffix, "appended to each prompt that is text");
}

}  // namespace

VerbAction declare_run(CLI::App& app) {
  auto command = std::make_shared<RunCommand>();
  app.add_option("plan", command->plan, "plan file")->required()->type_name("PLAN");
  declare_prompts(app, *command);
  declare_sampling(app, command->sampling);
  declare_sam(app, command->sam);
  app.add_option("--device", command->device, "cpu, cuda or cuda:1")->capture_default_str();
  app.add_option("--batch-size", command->batch_size,
                 "prompts that run at once; 0: as many as the plan was built for")
      ->check(at_least(0));
  return [command, &app](Console& console) { run_plan(*command, app, console); };
}

}  // namespace tenon::cli
