// Runs a language-model plan on one device over given token sequences, for
// bench/prove_full_size.py:
//   prove_llm PLAN --ids FILE.json [--device cuda] [--logits OUT] [--greedy N] [--mix N]
//             [--repeat N] [--max-num-tokens N]
// FILE.json is {"sequences": [[id, ...], ...]}. Prints one JSON object.
//   --logits OUT  teacher-forced logits of every position of every sequence, f32, raw
//   --greedy N    N greedy tokens after the first sequence
//   --mix N       every sequence continued by N tokens, alone and then all in one ragged batch
//   whose
//                 steps hold pieces of prompts beside single tokens; compares tokens and logits
//   --repeat N    the forced logits and a generation, N times; counts the different digests
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "data/json.h"
#include "metrics/error_stats.h"
#include "metrics/kl_divergence.h"
#include "pipelines/llm/engine.h"

namespace tenon::bench {
namespace {

using data::Json;
using Ids = std::vector<int32_t>;

constexpr int64_t kRepeatedTokens = 8;

struct Options {
  std::string plan, ids, device = "cpu", logits;
  int64_t greedy = 0, mix = 0, repeat = 0, max_num_tokens = 0;
};

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::vector<Ids> read_sequences(const std::string& path) {
  Json file = data::read_json_file(path);
  std::vector<Ids> sequences;
  for (const Json& sequence : file.at("sequences", "$").as_array("$.sequences")) {
    Ids ids;
    for (const Json& id : sequence.as_array("$.sequences[]")) {
      ids.push_back(static_cast<int32_t>(id.as_int("$.sequences[][]")));
    }
    sequences.push_back(std::move(ids));
  }
  if (sequences.empty()) throw Error(ErrorCode::BadInput, "no sequences").at(path);
  return sequences;
}

std::unique_ptr<llm::Engine> open_engine(const Options& options,
                                         const std::vector<Ids>& sequences) {
  llm::EngineOptions engine;
  engine.device = device::DeviceId::parse(options.device);
  size_t longest = 0;
  for (const Ids& ids : sequences) longest = std::max(longest, ids.size());
  engine.max_seq_len =
      static_cast<int64_t>(longest) + std::max({options.greedy, options.mix, kRepeatedTokens});
  engine.max_batch_size = static_cast<int64_t>(sequences.size());
  if (options.max_num_tokens > 0) engine.max_num_tokens = options.max_num_tokens;
  return llm::Engine::open(plan::PlanFile::open(options.plan), engine);
}

std::string forced_digest(llm::Engine& engine, const std::vector<Ids>& sequences,
                          AtomicFile* file) {
  DigestStream digest;
  for (const Ids& ids : sequences) {
    engine.forced_logits(ids, [&](int64_t, const TensorView& logits) {
      digest.update(logits.byte_span());
      if (file) file->append(logits.byte_span());
    });
  }
  return to_hex(digest.finish());
}

// Tokens drawn for one sequence and the logits each was drawn from.
struct Drawn {
  Ids ids;
  std::vector<std::vector<float>> logits;
};

llm::Request greedy_request(const Ids& ids, int64_t count) {
  llm::Request request;
  request.prompt = {llm::Segment::of_ids(ids)};
  request.sampling.max_new_tokens = count;
  request.sampling.ignore_eos = true;
  return request;
}

// Continues the sequences; `together`: in one batch, else one after the other.
std::vector<Drawn> generate(llm::Engine& engine, const std::vector<Ids>& sequences, int64_t count,
                            bool together) {
  std::vector<Drawn> drawn(sequences.size());
  std::map<llm::RequestId, size_t> index;
  engine.set_logits_observer([&](llm::RequestId id, std::span<const float> logits) {
    drawn[index.at(id)].logits.emplace_back(logits.begin(), logits.end());
  });
  for (size_t i = 0; i < sequences.size(); ++i) {
    llm::RequestId id =
        engine.submit(greedy_request(sequences[i], count), [&drawn, i](const llm::Update& update) {
          if (update.result) drawn[i].ids = update.result->ids;
        });
    index[id] = i;
    if (!together) engine.run_until_done();
  }
  engine.run_until_done();
  engine.set_logits_observer({});
  return drawn;
}

// Compared up to the first token that differs; from there on the texts are different ones.
Json compare_runs(const std::vector<Drawn>& alone, const std::vector<Drawn>& mixed) {
  int64_t identical = 0, rows = 0, same_bits = 0;
  double worst = 0;
  metrics::KldAccumulator kld;
  for (size_t s = 0; s < alone.size(); ++s) {
    identical += alone[s].ids == mixed[s].ids ? 1 : 0;
    for (size_t t = 0; t < alone[s].logits.size(); ++t) {
      const auto &expected = alone[s].logits[t], &got = mixed[s].logits.at(t);
      metrics::ErrorStats error = metrics::compare(got, expected);
      worst = std::max(worst, error.max_abs / error.reference_rms);
      same_bits += got == expected ? 1 : 0;
      kld.add_row(got, expected);
      ++rows;
      if (alone[s].ids[t] != mixed[s].ids[t]) break;
    }
  }
  metrics::KldStats stats = kld.finish();
  Json json = Json::object();
  json.set("sequences", static_cast<int64_t>(alone.size())).set("identical_texts", identical);
  json.set("rows", rows).set("rows_of_same_bits", same_bits);
  json.set("max_error_over_rms", worst).set("mean_kld", stats.mean);
  json.set("same_top", stats.same_top).set("decided_rows", stats.decided_rows);
  return json;
}

Json repeat(llm::Engine& engine, const std::vector<Ids>& sequences, int64_t count) {
  std::set<std::string> forced, generated;
  for (int64_t i = 0; i < count; ++i) {
    forced.insert(forced_digest(engine, sequences, nullptr));
    DigestStream digest;
    for (const Drawn& drawn : generate(engine, sequences, kRepeatedTokens, true)) {
      for (const auto& row : drawn.logits) digest.update(std::as_bytes(std::span(row)));
      digest.update(std::as_bytes(std::span(drawn.ids)));
    }
    generated.insert(to_hex(digest.finish()));
  }
  Json json = Json::object();
  json.set("runs", count).set("forced_digests", static_cast<int64_t>(forced.size()));
  json.set("generation_digests", static_cast<int64_t>(generated.size()));
  json.set("first_digest", *forced.begin());
  return json;
}

Json ids_json(const Ids& ids) {
  Json list = Json::array();
  for (int32_t id : ids) list.push_back(id);
  return list;
}

Json prove(const Options& options) {
  std::vector<Ids> sequences = read_sequences(options.ids);
  double begin = seconds_now();
  std::unique_ptr<llm::Engine> engine = open_engine(options, sequences);
  Json json = Json::object();
  json.set("device", engine->session().device().description());
  json.set("load_seconds", seconds_now() - begin);
  begin = seconds_now();
  if (!options.logits.empty()) {
    AtomicFile file(options.logits);
    json.set("forced_digest", forced_digest(*engine, sequences, &file));
    file.commit();
    json.set("forced_seconds", seconds_now() - begin);
  }
  if (options.greedy > 0) {
    begin = seconds_now();
    json.set("greedy_ids",
             ids_json(generate(*engine, {sequences[0]}, options.greedy, true)[0].ids));
    json.set("greedy_seconds", seconds_now() - begin);
  }
  if (options.mix > 0) {
    json.set("mix", compare_runs(generate(*engine, sequences, options.mix, false),
                                 generate(*engine, sequences, options.mix, true)));
  }
  if (options.repeat > 0) json.set("repeat", repeat(*engine, sequences, options.repeat));
  return json;
}

int64_t whole_number(const std::string& name, const char* text) {
  char* end = nullptr;
  int64_t value = std::strtoll(text, &end, 10);
  if (end != text && *end == 0 && value >= 0 && value <= 1'000'000) return value;
  throw Error(ErrorCode::Usage, "not a whole number").at(name).got(text);
}

Options parse(int argc, char** argv) {
  Options options;
  std::map<std::string, std::string*> texts = {
      {"--ids", &options.ids}, {"--device", &options.device}, {"--logits", &options.logits}};
  std::map<std::string, int64_t*> numbers = {{"--greedy", &options.greedy},
                                             {"--mix", &options.mix},
                                             {"--repeat", &options.repeat},
                                             {"--max-num-tokens", &options.max_num_tokens}};
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    bool known = texts.count(word) > 0 || numbers.count(word) > 0;
    if (!known && options.plan.empty() && word[0] != '-') {
      options.plan = word;
    } else if (!known || i + 1 == argc) {
      throw Error(ErrorCode::Usage, "unknown option, or no value for it").got(word);
    } else if (texts.count(word) > 0) {
      *texts[word] = argv[++i];
    } else {
      *numbers[word] = whole_number(word, argv[++i]);
    }
  }
  if (options.plan.empty() || options.ids.empty()) {
    throw Error(ErrorCode::Usage, "give a plan and --ids FILE");
  }
  return options;
}

}  // namespace
}  // namespace tenon::bench

int main(int argc, char** argv) {
  try {
    std::printf("%s\n", tenon::bench::prove(tenon::bench::parse(argc, argv)).dump().c_str());
  } catch (const tenon::Error& error) {
    std::fprintf(stderr, "prove_llm: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
