// Times a language model through the public interface: time to the first token and time per token,
// after loading and warming up.
//   bench_llm PLAN [--device cuda] [--repeats 5] [--warm-up 2] [--max-num-tokens 2048]
//             --job PROMPT,NEW,BATCH ...
//   bench_llm PLAN ... --serve     one job a line on the standard input: PROMPT NEW BATCH
// Prints one JSON object a job. Prompts are random token ids, another set each time; tokens are
// drawn greedily and no end-of-sequence token ends a request.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "tenon/tenon.hpp"

namespace {

using Clock = std::chrono::steady_clock;

struct Job {
  int64_t prompt = 0, fresh = 0, batch = 0;
};

struct Options {
  std::string plan;
  tenon::LlmOptions llm;
  int repeats = 5, warm_up = 2;
  int32_t vocabulary = 30000;  // random ids stay below
  std::vector<Job> jobs;
  bool serve = false;
};

// What one run of a job took, in seconds from the first submit.
struct Times {
  double first_token = 0;          // until every request has its first token
  double total = 0;                // until the last request ended
  std::vector<double> token_gaps;  // between the tokens of one request
};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::vector<int32_t> random_ids(int64_t count, int32_t vocabulary, uint64_t& state) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    ids.push_back(3 + static_cast<int32_t>((state >> 33) % static_cast<uint64_t>(vocabulary - 3)));
  }
  return ids;
}

Times run_once(tenon::Llm& llm, const Job& job, int32_t vocabulary, uint64_t& state) {
  tenon::Sampling sampling;
  sampling.max_new_tokens = job.fresh;
  sampling.ignore_eos = true;
  Times times;
  std::vector<std::vector<tenon::Segment>> prompts;
  for (int64_t i = 0; i < job.batch; ++i) {
    prompts.push_back({tenon::Segment::ids(random_ids(job.prompt, vocabulary, state))});
  }
  std::vector<double> last(job.batch, 0);
  Clock::time_point begin = Clock::now();
  for (int64_t i = 0; i < job.batch; ++i) {
    llm.submit(std::move(prompts[i]), sampling, [&, i](const tenon::Update& update) {
      if (!update.token) return true;
      double now = seconds_since(begin);
      if (last[i] == 0) {
        times.first_token = std::max(times.first_token, now);
      } else {
        times.token_gaps.push_back(now - last[i]);
      }
      last[i] = now;
      return true;
    });
  }
  while (llm.step()) {
  }
  times.total = seconds_since(begin);
  return times;
}

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

void print_numbers(const char* name, const std::vector<double>& values) {
  std::printf(", \"%s\": [", name);
  for (size_t i = 0; i < values.size(); ++i) std::printf("%s%.9g", i ? ", " : "", values[i]);
  std::printf("]");
}

void run_job(tenon::Llm& llm, const Job& job, const Options& options) {
  uint64_t state = 1;
  std::vector<double> first, total, rates, gaps;
  for (int i = 0; i < options.warm_up; ++i) run_once(llm, job, options.vocabulary, state);
  for (int i = 0; i < options.repeats; ++i) {
    Times times = run_once(llm, job, options.vocabulary, state);
    first.push_back(times.first_token);
    total.push_back(times.total);
    // Tokens after the first ones, over the time after the last of the first ones.
    auto tokens = static_cast<double>(job.batch * (job.fresh - 1));
    if (tokens > 0) rates.push_back(tokens / (times.total - times.first_token));
    gaps.insert(gaps.end(), times.token_gaps.begin(), times.token_gaps.end());
  }
  std::printf("{\"prompt_tokens\": %lld, \"new_tokens\": %lld, \"batch\": %lld, \"repeats\": %d",
              static_cast<long long>(job.prompt), static_cast<long long>(job.fresh),
              static_cast<long long>(job.batch), options.repeats);
  std::printf(", \"first_token_seconds\": %.9g, \"total_seconds\": %.9g", quantile(first, 0.5),
              quantile(total, 0.5));
  std::printf(", \"decode_tokens_per_second\": %.9g", quantile(rates, 0.5));
  std::printf(", \"token_seconds\": {\"p50\": %.9g, \"p90\": %.9g, \"p99\": %.9g}",
              quantile(gaps, 0.5), quantile(gaps, 0.9), quantile(gaps, 0.99));
  print_numbers("first_token_samples", first);
  print_numbers("decode_samples", rates);
  std::printf("}\n");
  std::fflush(stdout);
}

[[noreturn]] void usage(const std::string& problem) {
  throw tenon::Error(TENON_USAGE, problem +
                                      "; usage: bench_llm PLAN [--device D] [--repeats N] "
                                      "[--warm-up N] [--max-batch-size N] [--max-seq-len N] "
                                      "[--max-num-tokens N] [--vocabulary N] (--job P,N,B ... | "
                                      "--serve)");
}

int64_t whole_number(const std::string& text, int64_t least) {
  char* end = nullptr;
  int64_t value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != 0 || value < least || value > 1'000'000'000) {
    usage("not a number of at least " + std::to_string(least) + ": " + text);
  }
  return value;
}

Job parse_job(std::string text) {
  std::replace(text.begin(), text.end(), ',', ' ');
  char rest = 0;
  long long prompt = 0, fresh = 0, batch = 0;
  int read = std::sscanf(text.c_str(), "%lld %lld %lld %c", &prompt, &fresh, &batch, &rest);
  if (read != 3 || prompt < 1 || fresh < 1 || batch < 1) usage("not a job: " + text);
  return {prompt, fresh, batch};
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word == "--serve") {
      options.serve = true;
    } else if (word.rfind("--", 0) != 0 && options.plan.empty()) {
      options.plan = word;
    } else if (++i == argc) {
      usage("no value for " + word);
    } else if (word == "--device") {
      options.llm.device = argv[i];
    } else if (word == "--job") {
      options.jobs.push_back(parse_job(argv[i]));
    } else if (word == "--repeats") {
      options.repeats = static_cast<int>(whole_number(argv[i], 1));
    } else if (word == "--warm-up") {
      options.warm_up = static_cast<int>(whole_number(argv[i], 0));
    } else if (word == "--vocabulary") {
      options.vocabulary = static_cast<int32_t>(whole_number(argv[i], 4));
    } else if (word == "--max-batch-size") {
      options.llm.max_batch_size = whole_number(argv[i], 1);
    } else if (word == "--max-seq-len") {
      options.llm.max_seq_len = whole_number(argv[i], 1);
    } else if (word == "--max-num-tokens") {
      options.llm.max_num_tokens = whole_number(argv[i], 1);
    } else {
      usage("unknown option " + word);
    }
  }
  if (options.plan.empty()) usage("no plan");
  if (options.serve == !options.jobs.empty()) usage("give either --job or --serve");
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Options options = parse(argc, argv);
    tenon::Plan plan(options.plan);
    Clock::time_point begin = Clock::now();
    tenon::Llm llm(plan, options.llm);
    std::printf("{\"device\": \"%s\", \"load_seconds\": %.6g}\n", options.llm.device.c_str(),
                seconds_since(begin));
    std::fflush(stdout);
    for (const Job& job : options.jobs) run_job(llm, job, options);
    if (!options.serve) return 0;
    for (std::string line; std::getline(std::cin, line);) run_job(llm, parse_job(line), options);
  } catch (const tenon::Error& error) {
    std::fprintf(stderr, "bench_llm: %s\n", error.what());
    return error.code();
  }
}
