#include "compiler/check_run.h"

#include <algorithm>

#include "base/error.h"

namespace tenon::compiler {
namespace {

TensorView view_of(const std::vector<int32_t>& values, const Extents& extents) {
  // An empty vector has no address; the view of nothing still needs one.
  static const int32_t kNothing = 0;
  return TensorView(values.empty() ? &kNothing : values.data(), DType::I32, extents);
}

}  // namespace

Tensor run_check(runtime::Session& session, const CheckData& data, runtime::StepObserver observer) {
  return run_check(session.stage("decoder"), data, std::move(observer));
}

Tensor run_check(runtime::StageRunner& decoder, const CheckData& data,
                 runtime::StepObserver observer) {
  int64_t seqs = static_cast<int64_t>(data.seq_offsets.size()) - 1;
  std::vector<int32_t> positions, lengths, table;
  int64_t longest = 1;
  for (int64_t s = 0; s < seqs; ++s) {
    int32_t length = data.seq_offsets[s + 1] - data.seq_offsets[s];
    for (int32_t i = 0; i < length; ++i) positions.push_back(i);
    lengths.push_back(length);
    table.push_back(static_cast<int32_t>(s));
    longest = std::max<int64_t>(longest, length);
  }
  // One block a sequence: the contiguous form of the cache.
  decoder.allocate_states({{"cache_blocks", seqs}, {"block_size", longest}});
  decoder.set_observer(std::move(observer));
  const plan::Stage& stage = decoder.stage();
  int64_t hidden = stage.values[stage.inputs[1]].type.shape[1].constant();
  static const float kNoEmbeds = 0;
  int64_t tokens = static_cast<int64_t>(data.ids.size());
  TensorView inputs[] = {view_of(data.ids, {tokens}),
                         TensorView(&kNoEmbeds, DType::F32, {0, hidden}),
                         view_of(positions, {tokens}),
                         view_of(data.seq_offsets, {seqs + 1}),
                         view_of(lengths, {seqs}),
                         view_of(table, {seqs, 1}),
                         view_of(data.logit_rows, {static_cast<int64_t>(data.logit_rows.size())})};
  Tensor logits = make_f32(decoder.to_host(decoder.run(inputs)[0]));
  decoder.set_observer({});
  return logits;
}

CheckData first_sequence(const CheckData& data, size_t most_tokens) {
  CheckData first;
  size_t count = std::min<size_t>(data.seq_offsets.at(1), most_tokens);
  first.origin = data.origin;
  first.ids.assign(data.ids.begin(), data.ids.begin() + static_cast<std::ptrdiff_t>(count));
  first.seq_offsets = {0, static_cast<int32_t>(count)};
  for (size_t i = 0; i < count; ++i) first.logit_rows.push_back(static_cast<int32_t>(i));
  return first;
}

}  // namespace tenon::compiler
