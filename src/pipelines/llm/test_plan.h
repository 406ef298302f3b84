#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pipelines/llm/engine.h"
#include "plan/plan.h"
#include "runtime/constant_source.h"
#include "tensor/tensor.h"

namespace tenon::llm {

// A language model of one attention layer with random weights, made by hand so that the tests need
// no compiler.
inline constexpr int64_t kTestVocabulary = 40, kTestHidden = 16;
inline constexpr int32_t kTestBos = 31, kTestEos = 30;

// A byte-level BPE tokenizer: a-z are 0-25, space 26, "." 27, the two bytes of "é" 28 and 29,
// <eos> 30, <bos> 31 (added by its template), "th" 32, "he" 33, "the" 34; 35-39 have no token.
std::string test_tokenizer();

class TestModel : public runtime::ConstantSource {
 public:
  TestModel();
  TensorView constant(size_t index) override { return weights_[index]; }

  // Rows of the embedding table: f32 [kTestVocabulary, kTestHidden].
  const TensorView& table() const { return weights_[0].view(); }

  plan::Plan plan;
  // The model and its plan must outlive the engine.
  std::unique_ptr<Engine> make_engine(const EngineOptions& options = {},
                                      bool reference_only = true);
  void write(const std::string& path) const;

 private:
  int32_t add_weight(plan::Stage& stage, const std::string& name, const Extents& extents,
                     double deviation);
  plan::Stage decoder();
  plan::Stage sample();
  std::vector<Tensor> weights_;
};

}  // namespace tenon::llm
