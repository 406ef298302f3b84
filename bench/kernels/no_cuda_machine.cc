#include "base/error.h"
#include "kernels/machine.h"

namespace tenon::bench {

std::unique_ptr<Machine> open_cuda_machine(int) {
  throw Error(ErrorCode::Unsupported, "this program was built without CUDA")
      .fix("build it where there is a CUDA toolkit, or use --device cpu");
}

}  // namespace tenon::bench
