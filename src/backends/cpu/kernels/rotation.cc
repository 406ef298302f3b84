#include "backends/cpu/kernels/rotation.h"

#include <cmath>

namespace tenon::cpu {

// The angle is rounded to f32 before its cosine is taken, as the models were trained; libm reduces
// even angles of 1e5 exactly.
void Rotation::set_position(int64_t position) const {
  for (int64_t j = 0; j < pairs(); ++j) {
    float frequency = inv_freq_.as<const float>()[j * inv_freq_.strides[0]];
    float angle = static_cast<float>(position) * frequency;
    cosine_[j] = static_cast<float>(std::cos(angle) * scale_);
    sine_[j] = static_cast<float>(std::sin(angle) * scale_);
  }
}

void Rotation::rotate(float* head) const {
  if (!interleaved_) {
    rows_.rotate(head, head + pairs(), cosine_, sine_, pairs());
    return;
  }
  for (int64_t j = 0; j < pairs(); ++j) {
    float a = head[2 * j], b = head[2 * j + 1];
    head[2 * j] = a * cosine_[j] - b * sine_[j];
    head[2 * j + 1] = b * cosine_[j] + a * sine_[j];
  }
}

}  // namespace tenon::cpu
