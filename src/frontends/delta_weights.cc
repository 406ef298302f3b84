#include "frontends/delta_weights.h"

#include "base/error.h"
#include "frontends/derived_weights.h"

namespace tenon::frontends {
namespace {

bool is_summable(DType dtype) {
  return dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16;
}

// Only matrices with a row a token grow when tokens are added.
bool may_grow(std::string_view name) {
  return name.ends_with("embed_tokens.weight") || name.ends_with("lm_head.weight");
}

// Buffers that both models compute for themselves.
bool is_buffer(std::string_view name) {
  return name.ends_with("rotary_emb.inv_freq");
}

Error misfit(std::string_view problem, const WeightInfo& base, const WeightInfo& delta) {
  return Error(ErrorCode::BadInput, problem)
      .at("tensor " + delta.name)
      .got("base " + std::string(dtype_name(base.dtype)) + " " + base.extents.to_string() +
           ", delta " + std::string(dtype_name(delta.dtype)) + " " + delta.extents.to_string());
}

Recipe sum(const DerivedWeights& derived, const WeightInfo& base, const WeightInfo& delta) {
  if (!is_summable(base.dtype) || !is_summable(delta.dtype)) {
    throw misfit("types cannot be summed", base, delta).accepted("f32, f16 or bf16");
  }
  Recipe change = derived.part("delta", delta);
  Recipe known = Recipe::cast(derived.part("base", base), delta.dtype);
  if (base.extents == delta.extents) return Recipe::add(std::move(known), std::move(change));
  bool grown = may_grow(delta.name) && base.extents.rank() == 2 && delta.extents.rank() == 2 &&
               base.extents[1] == delta.extents[1] && base.extents[0] < delta.extents[0];
  if (!grown) throw misfit("base and delta have different shapes", base, delta);
  int64_t rows = base.extents[0];
  Recipe both = Recipe::add(std::move(known), Recipe::slice(change, 0, 0, rows));
  return Recipe::concat({std::move(both), Recipe::slice(change, 0, rows, delta.extents[0])}, 0);
}

}  // namespace

Checkpoint apply_delta(const Checkpoint& base, const Checkpoint& delta) {
  auto derived = std::make_shared<DerivedWeights>();
  derived->add_source("base", base.weights);
  derived->add_source("delta", delta.weights);
  Problems problems;
  for (const WeightInfo& info : delta.weights->weights()) {
    const WeightInfo* known = base.weights->find(info.name);
    if (is_buffer(info.name)) {
      derived->add(info.name, derived->part("delta", info));
    } else if (!known) {
      problems.add(
          Error(ErrorCode::BadInput, "the base lacks a tensor of the delta").got(info.name));
    } else {
      try {
        derived->add(info.name, sum(*derived, *known, info));
      } catch (const Error& error) {
        problems.add(error);
      }
    }
  }
  for (const WeightInfo& info : base.weights->weights()) {
    if (delta.weights->find(info.name) || is_buffer(info.name)) continue;
    problems.add(Error(ErrorCode::BadInput, "the delta lacks a tensor of the base").got(info.name));
  }
  problems.throw_if_any();
  Checkpoint made;
  made.weights = derived;
  made.files = delta.files;
  made.files.insert(made.files.end(), base.files.begin(), base.files.end());
  made.notes = delta.notes;
  made.notes.insert(made.notes.end(), base.notes.begin(), base.notes.end());
  return made;
}

}  // namespace tenon::frontends
