// How near kernels come to what the machine can do: README.md says how to read the figures.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>

#include "base/error.h"
#include "base/file.h"
#include "kernels/check.h"
#include "kernels/layers.h"
#include "kernels/report.h"

namespace tenon::bench {
namespace {

using data::Json;

constexpr const char* kUsage =
    "usage: bench_kernels [--device cpu|cuda|cuda:N] --shapes FILE... [--filter TEXT] [--all]\n"
    "                     [--json FILE] [--list]\n"
    "       bench_kernels [--device ...] [--all] --serve\n"
    "       bench_kernels [--device ...] --check [--seed N] | --layers\n"
    "  --filter  only cases whose name holds TEXT\n"
    "  --all     every implementation that can do a case, not only the one a session takes\n"
    "  --list    print the cases, one JSON object a line, and measure nothing\n"
    "  --serve   measure the case on each line of the standard input, answer with one line each\n"
    "  --check   compare every implementation and variant with the reference, on random inputs\n"
    "  --layers  whole layers of LLaMA-7B, and what each kind of kernel costs there\n";

struct Options {
  std::string device = "cpu", filter, json;
  std::vector<std::string> shapes;
  bool list = false, serve = false, check = false, layers = false, help = false;
  uint32_t seed = std::random_device{}();
  Which which = Which::Chosen;
};

Options read_options(int argc, char** argv) {
  Options options;
  auto value = [&](int& i) -> std::string {
    if (i + 1 < argc) return argv[++i];
    throw Error(ErrorCode::Usage, "option without its value").at(argv[i]);
  };
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    if (word == "--device") {
      options.device = value(i);
    } else if (word == "--shapes") {
      options.shapes.push_back(value(i));
    } else if (word == "--filter") {
      options.filter = value(i);
    } else if (word == "--json") {
      options.json = value(i);
    } else if (word == "--all") {
      options.which = Which::All;
    } else if (word == "--list") {
      options.list = true;
    } else if (word == "--serve") {
      options.serve = true;
    } else if (word == "--check") {
      options.check = true;
    } else if (word == "--seed") {
      options.seed = static_cast<uint32_t>(std::strtoul(value(i).c_str(), nullptr, 10));
    } else if (word == "--layers") {
      options.layers = true;
    } else if (word == "--help") {
      options.help = true;
    } else {
      throw Error(ErrorCode::Usage, "unknown option").got(word).fix("see --help");
    }
  }
  int modes = options.serve + options.check + options.layers + !options.shapes.empty();
  if (modes == 1 || options.help) return options;
  throw Error(ErrorCode::Usage, "give one of --shapes FILE, --serve, --check and --layers");
}

std::vector<Case> read_cases(const Options& options) {
  std::vector<Case> cases;
  for (const std::string& path : options.shapes) {
    try {
      for (Case& one : read_shapes(data::read_json_file(path))) {
        if (one.name().find(options.filter) != std::string::npos) cases.push_back(std::move(one));
      }
    } catch (Error& error) {
      throw error.within(path);
    }
  }
  if (cases.empty()) throw Error(ErrorCode::Usage, "no case is left").at("--filter");
  return cases;
}

// A case that fails is reported and the others go on; returns how many failed.
int measure_all(Machine& machine, const std::vector<Case>& cases, const Options& options) {
  Json all = Json::array();
  int failed = 0;
  for (const Case& one : cases) {
    try {
      std::vector<Result> results = measure_case(machine, one, options.which);
      for (const Result& result : results) std::printf("%s\n", result.line(one).c_str());
      all.push_back(to_json(one, results));
    } catch (const Error& error) {
      ++failed;
      std::printf("%s  FAILED: %s\n", one.name().c_str(), error.what());
      all.push_back(Json::object().set("name", one.name()).set("error", error.what()));
    }
    std::fflush(stdout);
  }
  if (options.json.empty()) return failed;
  Json document = Json::object();
  document.set("machine", machine.fingerprint()).set("cases", std::move(all));
  AtomicFile file(options.json);
  file.append(document.dump(1) + "\n");
  file.commit();
  return failed;
}

void serve(Machine& machine, Which which) {
  std::cout << machine.fingerprint().dump() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    Json answer;
    try {
      Case one = read_case(data::parse_json(line));
      answer = to_json(one, measure_case(machine, one, which));
    } catch (const Error& error) {
      answer = Json::object().set("error", error.what());
    }
    std::cout << answer.dump() << std::endl;
  }
}

int check(Machine& machine, uint32_t seed) {
  std::printf("seed %u\n", seed);
  Checker checker(machine, seed);
  check_linear(checker);
  check_attention(checker);
  checker.print();
  return checker.summary().wrong == 0 ? 0 : static_cast<int>(ErrorCode::ProofFailed);
}

int run(int argc, char** argv) {
  Options options = read_options(argc, argv);
  if (options.help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (options.list) {
    for (const Case& one : read_cases(options)) std::printf("%s\n", one.to_json().dump().c_str());
    return 0;
  }
  std::vector<Case> cases;
  if (!options.shapes.empty()) cases = read_cases(options);
  std::unique_ptr<Machine> machine = Machine::open(device::DeviceId::parse(options.device));
  if (options.serve) {
    serve(*machine, options.which);
    return 0;
  }
  std::printf("%s\n", machine->fingerprint().dump().c_str());
  if (options.check) return check(*machine, options.seed);
  if (options.layers) {
    measure_layers(*machine);
    return 0;
  }
  return measure_all(*machine, cases, options) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace tenon::bench

int main(int argc, char** argv) {
  try {
    return tenon::bench::run(argc, argv);
  } catch (const tenon::Error& error) {
    std::fprintf(stderr, "bench_kernels: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
