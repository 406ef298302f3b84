#include "kernels/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"

namespace tenon::bench {
namespace {

// So many small calls are timed together that starting them costs nothing.
constexpr size_t kSmallCalls = 32;
constexpr int64_t kCheckedElements = 1 << 20;

void check_written(const Machine& machine, const TensorView& output, std::string_view name) {
  if (!is_float(output.dtype)) return;
  int64_t count = output.count(), step = std::max(kCheckedElements, count - kCheckedElements);
  // Both ends.
  for (int64_t begin = 0; begin < count; begin += step) {
    int64_t size = std::min(kCheckedElements, count - begin);
    auto* at = output.as<std::byte>() + dtype_bytes(output.dtype, begin);
    Tensor values = make_f32(machine.download(TensorView(at, output.dtype, {size})));
    for (int64_t i = 0; i < size; ++i) {
      if (!std::isnan(values.as<float>()[i])) continue;
      throw Error(ErrorCode::Internal, "the implementation left an element unwritten, or NaN")
          .at(name)
          .at("element " + std::to_string(begin + i));
    }
  }
}

// A call on the CPU begins at once; a GPU's recording holds every turn.
size_t calls_of(const Machine& machine, const Work& work) {
  if (machine.device().is_host()) return work.bytes < 1e6 ? kSmallCalls : 1;
  return work.bytes > 1e8 ? work.turns.size() : std::max(work.turns.size(), kSmallCalls);
}

Result measure_one(Machine& machine, const Work& work, const Operation& operation) {
  size_t calls = calls_of(machine, work), turn = 0;
  Result result;
  result.measured = machine.measure(static_cast<int>(calls), [&] {
    for (size_t i = 0; i < calls; ++i) operation.run(work.turns[turn++ % work.turns.size()]);
  });
  for (const TensorView& output : work.turns.front().outputs) {
    check_written(machine, output, operation.name());
  }
  result.implementation = operation.name();
  result.bytes = work.bytes, result.operations = work.operations;
  result.arithmetic = work.arithmetic;
  return result;
}

// Whatever else a tactic could take.
void measure_others(Machine& machine, const Case& what, const Work& work,
                    const ops::Implementation& chosen, std::vector<Result>& results) {
  for (const ops::Implementation* candidate : machine.implementations()) {
    if (candidate->op != what.op) continue;
    Operation plain(machine, *candidate, work.attributes, work.turns.front(), "");
    if (!plain.support().ok) continue;
    if (candidate != &chosen) results.push_back(measure_one(machine, work, plain));
    for (const std::string& variant : plain.variants()) {
      Operation other(machine, *candidate, work.attributes, work.turns.front(), variant);
      if (other.support().ok) results.push_back(measure_one(machine, work, other));
    }
  }
}

}  // namespace

double Result::floor() const {
  return floor_by(measured.ceilings);
}

double Result::floor_by(const Ceilings& ceilings) const {
  double read = bytes / ceilings.read, rate = ceilings.rate(arithmetic);
  return std::max(read, rate > 0 ? operations / rate : 0);
}

double Result::share_in_turns() const {
  std::vector<double> shares;
  for (const Turn& turn : measured.turns) shares.push_back(floor_by(turn.ceilings) / turn.seconds);
  if (shares.empty()) return 0;
  auto middle = shares.begin() + static_cast<std::ptrdiff_t>(shares.size() / 2);
  std::nth_element(shares.begin(), middle, shares.end());
  return *middle;
}

bool Result::bound_by_reading() const {
  return floor() <= bytes / measured.ceilings.read;
}

data::Json Result::to_json() const {
  data::Json json = data::Json::object();
  json.set("implementation", implementation).set("chosen", chosen);
  json.set("seconds", measured.seconds).set("spread", measured.spread);
  json.set("bytes", bytes).set("operations", operations);
  json.set("floor_seconds", floor()).set("share_of_floor", floor() / measured.seconds);
  if (!measured.turns.empty()) json.set("share_in_turns", share_in_turns());
  json.set("bound", bound_by_reading() ? "read" : std::string(dtype_name(arithmetic)));
  json.set("ceilings", measured.ceilings.to_json());
  return json;
}

std::string Result::line(const Case& what) const {
  char figures[160], turns[40] = "";
  std::snprintf(figures, sizeof figures,
                "%11.2f us  +-%3.0f %%  %8.1f GB/s %9.1f GFLOP/s  %3.0f %% of %s",
                measured.seconds * 1e6, 100 * measured.spread, bytes / measured.seconds * 1e-9,
                operations / measured.seconds * 1e-9, 100 * floor() / measured.seconds,
                bound_by_reading() ? "reading" : "arithmetic");
  if (!measured.turns.empty())
    std::snprintf(turns, sizeof turns, " (in turns %.0f)", 100 * share_in_turns());
  return what.name() + "  " + figures + turns + "  " + implementation +
         (chosen ? "" : " (not chosen)");
}

std::vector<Result> measure_case(Machine& machine, const Case& what, Which which) {
  Work work = make_work(machine, what);
  Operation chosen = choose(machine, what.op, work.attributes, work.turns.front());
  std::vector<Result> results = {measure_one(machine, work, chosen)};
  results[0].chosen = true;
  if (which == Which::All) measure_others(machine, what, work, chosen.implementation(), results);
  return results;
}

data::Json to_json(const Case& what, const std::vector<Result>& results) {
  data::Json list = data::Json::array();
  for (const Result& result : results) list.push_back(result.to_json());
  data::Json json = data::Json::object();
  json.set("name", what.name()).set("case", what.to_json()).set("results", std::move(list));
  return json;
}

}  // namespace tenon::bench
