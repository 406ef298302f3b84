#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "tensor/dtype.h"
#include "tensor/value_type.h"

namespace tenon::passes {

// How the weights of linears are stored, and whether their x is rounded to 8 bits.
struct Quantisation {
  QuantSpec weights;
  std::string x_codes;  // "" or "i8"
};

struct PassOptions {
  DType precision = DType::F32;  // of weights, matmul activations and KV caches: f32, bf16, f16
  std::vector<std::string> disabled = {};  // names of passes to leave out
  // Values, states and weights that get another of these types than `precision`, by name. A linear
  // multiplies in the type of its weight where that is listed, else of its x where that is.
  std::map<std::string, DType> types = {};
  // Of the linears whose weight is not listed in `types` and that give no graph output.
  std::optional<Quantisation> quantisation = {};
};

struct PassReport {
  std::string name;
  size_t changes = 0;
  double seconds = 0;
};

// One graph -> graph step. `run` returns how many places it changed; a second run changes none.
struct Pass {
  std::string_view name;
  std::string_view what;  // one line for people
  size_t (*run)(ir::Graph& graph, const PassOptions& options) = nullptr;
};

// Every pass in the order it runs. A pass that stands twice runs twice.
std::span<const Pass> pass_list();

// Runs the list; the graph is verified after each pass. Throws ErrorCode::Usage where `disabled`
// names no pass or the precision is none of those above.
//
// Names after fusion: the first name of a value says what it holds; further names are aliases or
// values that fusion removed, kept so that they can be found.
std::vector<PassReport> run_passes(ir::Graph& graph, const PassOptions& options);

}  // namespace tenon::passes
