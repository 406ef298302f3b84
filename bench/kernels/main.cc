// How near kernels come to what the machine can do: README.md says how to read the figures.
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "kernels/report.h"

namespace tenon::bench {
namespace {

using data::Json;

constexpr const char* kUsage =
    "usage: bench_kernels [--device cpu|cuda|cuda:N] --shapes FILE... [--filter TEXT] [--all]\n"
    "                     [--json FILE] [--list]\n"
    "       bench_kernels [--device ...] [--all] --serve\n"
    "  --filter  only cases whose name holds TEXT\n"
    "  --all     every implementation that can do a case, not only the one a session takes\n"
    "  --list    print the cases, one JSON object a line, and measure nothing\n"
    "  --serve   measure the case on each line of the standard input, answer with one line each\n";

struct Options {
  std::string device = "cpu", filter, json;
  std::vector<std::string> shapes;
  bool list = false, serve = false, help = false;
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
    } else if (word == "--help") {
      options.help = true;
    } else {
      throw Error(ErrorCode::Usage, "unknown option").got(word).fix("see --help");
    }
  }
  if (options.serve == options.shapes.empty() || options.help) return options;
  throw Error(ErrorCode::Usage, "give either --shapes FILE or --serve");
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
  std::vector<Case> cases = options.serve ? std::vector<Case>() : read_cases(options);
  std::unique_ptr<Machine> machine = Machine::open(device::DeviceId::parse(options.device));
  if (options.serve) {
    serve(*machine, options.which);
    return 0;
  }
  std::printf("%s\n", machine->fingerprint().dump().c_str());
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
