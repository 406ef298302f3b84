#pragma once

#include <memory>
#include <string>

#include "data/json.h"
#include "pipelines/llm/engine.h"

namespace tenon::prove {

// What a plan is held against: a model folder as its unfused f32 graph, compiled in memory, on the
// f32 CPU kernels (the oracle of the fidelity gate), or another plan.
class Reference {
 public:
  virtual ~Reference() = default;
  virtual llm::Engine& engine() = 0;
  // {"path", "kind": "oracle" or "plan", "dtype", "device"}
  virtual data::Json describe() const = 0;
};

// `path` is a folder or a plan file, which runs on the options' device. Throws what importing or
// opening throws.
std::unique_ptr<Reference> open_reference(const std::string& path,
                                          const llm::EngineOptions& options);

// Throws ErrorCode::BadInput where ids of one mean nothing to the other: the vocabularies differ.
void check_same_vocabulary(const llm::Engine& plan, const llm::Engine& reference);

}  // namespace tenon::prove
