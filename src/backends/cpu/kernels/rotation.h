#pragma once

#include "backends/cpu/isa.h"
#include "tensor/tensor.h"

namespace tenon::cpu {

// The rotation of one token: cosines and sines of its angles, made once for all its heads.
class Rotation {
 public:
  // tables: scratch memory, [2, pairs].
  Rotation(const RowKernels& rows, const TensorView& inv_freq, bool interleaved, double scale,
           float* tables)
      : rows_(rows),
        inv_freq_(inv_freq),
        interleaved_(interleaved),
        scale_(scale),
        cosine_(tables),
        sine_(tables + pairs()) {}

  int64_t pairs() const { return inv_freq_.defined() ? inv_freq_.extents[0] : 0; }
  void set_position(int64_t position) const;
  // One head in place; dims beyond 2 * pairs() stay.
  void rotate(float* head) const;

 private:
  const RowKernels& rows_;
  TensorView inv_freq_;
  bool interleaved_;
  double scale_;
  float *cosine_, *sine_;
};

}  // namespace tenon::cpu
