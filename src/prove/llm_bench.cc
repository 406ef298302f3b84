#include "prove/llm_bench.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "compiler/decoder_batch.h"
#include "plan/plan_file.h"
#include "prove/step_cost.h"

namespace tenon::prove {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

struct Point {
  int64_t batch = 0, prompt = 0, fresh = 0;
};

std::vector<Point> grid_of(const BenchOptions& options, const llm::ModelInfo& model) {
  std::vector<Point> grid;
  Problems problems;
  for (int64_t batch : options.batches) {
    for (int64_t prompt : options.prompt_tokens) {
      for (int64_t fresh : options.new_tokens) {
        grid.push_back({batch, prompt, fresh});
        bool fits = batch >= 1 && batch <= model.max_batch_size && prompt >= 1 && fresh >= 1 &&
                    prompt + fresh <= model.max_seq_len;
        if (fits) continue;
        problems.add(Error(ErrorCode::Usage, "the plan has no room for this point")
                         .got("batch " + std::to_string(batch) + ", " + std::to_string(prompt) +
                              " and " + std::to_string(fresh) + " tokens")
                         .accepted("batch up to " + std::to_string(model.max_batch_size) +
                                   ", tokens from 1 and up to " +
                                   std::to_string(model.max_seq_len) + " together"));
      }
    }
  }
  problems.throw_if_any();
  return grid;
}

std::vector<int32_t> prompt_ids(int64_t count, int64_t vocabulary, uint64_t seed) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    ids.push_back(static_cast<int32_t>((seed >> 33) % static_cast<uint64_t>(vocabulary)));
  }
  return ids;
}

// Times of one batch of requests.
struct Run {
  std::vector<double> first, gaps, total;
  double until_first = 0;  // of the last request
  double seconds = 0;
};

Run run_once(llm::Engine& engine, const Point& point) {
  Run run;
  std::vector<Clock::time_point> last(static_cast<size_t>(point.batch));
  std::vector<int64_t> drawn(static_cast<size_t>(point.batch));
  Clock::time_point begin = Clock::now();
  for (int64_t i = 0; i < point.batch; ++i) {
    llm::Request request;
    request.prompt.push_back(llm::Segment::of_ids(
        prompt_ids(point.prompt, engine.model().vocabulary, static_cast<uint64_t>(i) + 1)));
    request.sampling.max_new_tokens = point.fresh;
    request.sampling.ignore_eos = true;
    engine.submit(std::move(request), [&, i](const llm::Update& update) {
      Clock::time_point now = Clock::now();
      auto index = static_cast<size_t>(i);
      if (update.token && drawn[index]++ > 0) run.gaps.push_back(seconds_between(last[index], now));
      if (update.token && drawn[index] == 1) run.first.push_back(seconds_between(begin, now));
      last[index] = now;
      if (update.result) run.total.push_back(seconds_between(begin, now));
    });
  }
  engine.run_until_done();
  run.seconds = seconds_between(begin, Clock::now());
  run.until_first = *std::max_element(run.first.begin(), run.first.end());
  return run;
}

struct Work {
  StepCost cost;
  double least_seconds = 0;
};

Work work_of(const plan::Stage& stage, const Batch& batch, const Ceilings& ceilings) {
  Work work;
  SymbolValues symbols = compiler::symbols_of(
      {.seqs = batch.seqs, .tokens_each = batch.tokens_each, .context = batch.context});
  for (const StepCost& cost : step_costs(stage, symbols, batch)) {
    work.cost.bytes += cost.bytes;
    work.cost.flops += cost.flops;
    work.cost.int8_operations += cost.int8_operations;
    work.least_seconds += cost.least_seconds(ceilings);
  }
  return work;
}

// A prompt is read in one step or a few; what the extra steps read again is the engine's doing.
void set_shares(BenchRow& row, const plan::Stage& stage, double prompt_seconds,
                double token_seconds, const Ceilings& ceilings) {
  Work prompt = work_of(
      stage, {.seqs = row.batch, .tokens_each = row.prompt_tokens, .context = row.prompt_tokens},
      ceilings);
  row.prompt_share_of_arithmetic = prompt.cost.arithmetic_seconds(ceilings) / prompt_seconds;
  row.prompt_share_of_roofline = prompt.least_seconds / prompt_seconds;
  if (token_seconds <= 0) return;
  // In the middle of what is generated.
  Work token = work_of(stage,
                       {.seqs = row.batch,
                        .tokens_each = 1,
                        .context = row.prompt_tokens + (row.new_tokens + 1) / 2},
                       ceilings);
  row.token_share_of_bandwidth = token.cost.bytes / ceilings.bytes_per_second / token_seconds;
  row.token_share_of_roofline = token.least_seconds / token_seconds;
}

BenchRow row_of(const Point& point, const std::vector<Run>& runs, const plan::Stage& stage,
                const Ceilings& ceilings) {
  BenchRow row{.batch = point.batch, .prompt_tokens = point.prompt, .new_tokens = point.fresh};
  std::vector<double> first, gaps, total, until_first, seconds, after;
  for (const Run& run : runs) {
    first.insert(first.end(), run.first.begin(), run.first.end());
    gaps.insert(gaps.end(), run.gaps.begin(), run.gaps.end());
    total.insert(total.end(), run.total.begin(), run.total.end());
    until_first.push_back(run.until_first);
    seconds.push_back(run.seconds);
    after.push_back(run.seconds - run.until_first);
  }
  row.first_token = quantiles_of(first);
  row.per_token = quantiles_of(gaps);
  row.total = quantiles_of(total);
  auto tokens = static_cast<double>(point.batch);
  double prompt_seconds = quantiles_of(until_first).p50, rest = quantiles_of(after).p50;
  row.prompt_tokens_per_second = tokens * static_cast<double>(point.prompt) / prompt_seconds;
  if (point.fresh > 1 && rest > 0) {
    row.new_tokens_per_second = tokens * static_cast<double>(point.fresh - 1) / rest;
  }
  row.tokens_per_second = tokens * static_cast<double>(point.fresh) / quantiles_of(seconds).p50;
  set_shares(row, stage, prompt_seconds, row.per_token.p50, ceilings);
  return row;
}

llm::EngineOptions engine_options(const BenchOptions& options, const std::vector<Point>& grid) {
  llm::EngineOptions engine;
  engine.device = options.device;
  if (options.max_num_tokens > 0) engine.max_num_tokens = options.max_num_tokens;
  engine.max_batch_size = engine.max_seq_len = 1;
  for (const Point& point : grid) {
    engine.max_batch_size = std::max(engine.max_batch_size, point.batch);
    engine.max_seq_len = std::max(engine.max_seq_len, point.prompt + point.fresh);
  }
  return engine;
}

}  // namespace

BenchResult bench(const BenchOptions& options, Progress& progress) {
  BenchResult result;
  auto file = plan::PlanFile::open(options.plan);
  std::vector<Point> grid = grid_of(options, llm::read_model_info(file->plan()));
  result.model = file->plan().name;
  result.dtype = file->plan().precision.get_string("dtype", "?");
  result.identity = to_hex(file->identity());
  DType precision = dtype_from_name(result.dtype).value_or(DType::F32);
  const std::vector<plan::Stage>& stages = file->plan().stages;
  bool codes = std::any_of(stages.begin(), stages.end(), multiplies_codes);
  // Before the plan takes the device's memory.
  result.ceilings = measure_ceilings(options.device, precision, codes);
  Clock::time_point begin = Clock::now();
  auto engine = llm::Engine::open(file, engine_options(options, grid));
  result.load_seconds = seconds_between(begin, Clock::now());
  result.device = engine->session().device().description();
  const plan::Stage& stage = engine->session().stage("decoder").stage();

  // In units of tokens, so that what is left is foreseen in time.
  auto weight = [](const Point& point) { return point.batch * (point.prompt / 8 + point.fresh); };
  int64_t all = 0, done = 0, passes = options.warmups + options.repeats;
  for (const Point& point : grid) all += weight(point) * passes;
  progress.begin("measuring", all);
  std::vector<std::vector<Run>> runs(grid.size());
  for (size_t at = 0; at < grid.size(); ++at) {
    for (int64_t i = 0; i < passes; ++i) {
      Run run = run_once(*engine, grid[at]);
      if (i >= options.warmups) runs[at].push_back(std::move(run));
      progress.advance(done += weight(grid[at]));
    }
    // A CPU is shared: what it could do while nobody measured is no ceiling of what was.
    if (options.device.kind == device::Kind::Cpu)
      raise(result.ceilings, measure_ceilings(options.device, precision, codes));
  }
  for (size_t at = 0; at < grid.size(); ++at)
    result.rows.push_back(row_of(grid[at], runs[at], stage, result.ceilings));
  progress.end();
  return result;
}

data::Json to_json(const BenchResult& result) {
  data::Json rows = data::Json::array();
  for (const BenchRow& row : result.rows) {
    data::Json json = data::Json::object();
    json.set("batch", row.batch).set("prompt_tokens", row.prompt_tokens);
    json.set("new_tokens", row.new_tokens);
    json.set("first_token_seconds", to_json(row.first_token));
    json.set("per_token_seconds", to_json(row.per_token));
    json.set("total_seconds", to_json(row.total));
    json.set("prompt_tokens_per_second", row.prompt_tokens_per_second);
    // One new token is the first one: nothing was measured of those that follow.
    auto later = [&](double figure) {
      return row.per_token.count > 0 ? data::Json(figure) : nullptr;
    };
    json.set("new_tokens_per_second", later(row.new_tokens_per_second));
    json.set("tokens_per_second", row.tokens_per_second);
    json.set("prompt_share_of_arithmetic", row.prompt_share_of_arithmetic);
    json.set("prompt_share_of_roofline", row.prompt_share_of_roofline);
    json.set("token_share_of_bandwidth", later(row.token_share_of_bandwidth));
    rows.push_back(
        std::move(json.set("token_share_of_roofline", later(row.token_share_of_roofline))));
  }
  data::Json json = data::Json::object();
  json.set("model", result.model).set("dtype", result.dtype).set("identity", result.identity);
  json.set("device_description", result.device).set("load_seconds", result.load_seconds);
  return json.set("ceilings", to_json(result.ceilings)).set("rows", std::move(rows));
}

}  // namespace tenon::prove
