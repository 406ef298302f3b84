#pragma once

#include "data/json.h"
#include "device/device.h"
#include "tensor/dtype.h"

namespace tenon::prove {

// What the machine can do at this moment; shares of it are stated beside every time.
struct Ceilings {
  double bytes_per_second = 0;  // of memory
  double flops = 0;             // per second, of products in the plan's type
  // Per second, of products of 8-bit codes; 0: not asked for, or the device has no instruction.
  double int8_operations = 0;
  std::string bytes_how, flops_how;
};

// On the CPU: reading a buffer larger than the caches on all threads, and the widest multiply-add
// in registers (bf16: its dot product where that is faster; f16 is widened, so f32's). On another
// device: filling a buffer, and the plan's own linear on 4096 x 4096 x 4096, which there is the
// vendor's library. Takes about half a second. `codes`: of products of 8-bit codes, too.
Ceilings measure_ceilings(const device::DeviceId& device, DType precision, bool codes = false);
// The higher ones of both: a ceiling is an upper bound, and others on a machine can only hide it.
void raise(Ceilings& ceilings, const Ceilings& again);

// "6.9e+12 FLOP/s (how)", and the products of codes where they were measured.
std::string arithmetic_text(const Ceilings& ceilings);

data::Json to_json(const Ceilings& ceilings);

}  // namespace tenon::prove
